"""Planted bugs in calls, permits, links and rounds."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CORE = "ygg/core/"
PLACEMENT = CORE + "placement/"
CALLS, LANES = "tests/core/test_calls.py", "tests/core/placement/test_lanes.py"
PERMITS, LINKS = "tests/core/placement/test_permits.py", "tests/core/placement/test_links.py"
DISPATCHING = "tests/core/placement/test_dispatching.py"
LIMITERS = "tests/shell/test_limiters.py"

CHECKING = "tests/core/test_checking.py"
KINDS, RESIDENCY = "tests/core/placement/test_kinds.py", "tests/core/placement/test_residency.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "a call that gives way settles before it asks",
        CORE + "step.py",
        "[*handled, *placed] if asked else [*placed, *handled]",
        "[*placed, *handled]",
        (PERMITS,),
    ),
    Mutant(
        "a host that is gone goes on changing its models",
        PLACEMENT + "permits.py",
        "        board.forget_gone()\n",
        "",
        (RESIDENCY,),
    ),
    Mutant(
        "nobody wakes when a reading is too late to wait for",
        CORE + "hosts/limits.py",
        "    late = now.mono >= gauge.asked",
        "    late = now.mono > gauge.asked",
        (CHECKING,),
    ),
    Mutant(
        "nobody wakes for a model that has stayed long enough",
        CORE + "timing.py",
        "                times += [at for at in changes if at > now.mono]\n",
        "",
        (RESIDENCY,),
    ),
    Mutant(
        "a host that joins drained takes work first",
        CORE + "owning.py",
        "        board.hosts[name].drained = True\n",
        "",
        ("tests/core/hosts/test_gates.py",),
    ),
    Mutant(
        "nobody looks again once nothing is known of a host",
        CORE + "hosts/readings.py",
        "    if reason is not None or host.condition is not before:\n",
        "    if reason is not None:\n",
        ("tests/core/hosts/test_readings.py",),
    ),
    Mutant(
        "a reason lacks a fact of its sentence",
        CORE + "hosts/gates.py",
        'facts: JsonDict = {"busy": busy, "limit": limit(host), ',
        'facts: JsonDict = {"busy": busy, ',
        (CHECKING,),
    ),
    Mutant(
        "a task that expires leaves others uncounted",
        PLACEMENT + "dispatching.py",
        "        self.shifts |= kinds.waits_for(self.round, state) == kinds.CPU\n",
        "",
        (KINDS,),
    ),
    Mutant(
        "lanes are asked that no open host is left for",
        PLACEMENT + "dispatching.py",
        "if state.best is offer and not board.open.keys().isdisjoint(state.reach.hosts):",
        "if state.best is offer:",
        (DISPATCHING,),
    ),
    Mutant(
        "a type's own options of loading are forgotten",
        CORE + "owning.py",
        "    board.loading = loading(event.types)\n",
        "",
        ("tests/core/placement/test_residency.py",),
    ),
    Mutant(
        "a slot is given back twice",
        PLACEMENT + "permits.py",
        "    host.busy -= host.grants.pop(call.id)\n",
        "    host.busy -= 2 * host.grants.pop(call.id)\n",
        (CALLS,),
    ),
    Mutant(
        "a slot is never given back",
        PLACEMENT + "permits.py",
        "    host.busy -= host.grants.pop(call.id)\n",
        "    host.grants.pop(call.id)\n",
        (CALLS,),
    ),
    Mutant(
        "a permit that was denied is not settled",
        PLACEMENT + "permits.py",
        "for permit in call.needs[: call.asked]]",
        "for permit in call.needs[: call.asked - 1]]",
        (PERMITS,),
    ),
    Mutant(
        "permits are settled that were never asked for",
        PLACEMENT + "permits.py",
        "for permit in call.needs[: call.asked]]",
        "for permit in call.needs]",
        (PERMITS,),
    ),
    Mutant(
        "a limiter that does not answer holds a slot for ever",
        PLACEMENT + "permits.py",
        "        if call.give_up_at <= now.mono:\n",
        "        if False:\n",
        (PERMITS,),
    ),
    Mutant(
        "a call that waits for a permit keeps its slot against better tasks",
        PLACEMENT + "rounds.py",
        "self.rank < self.board.calls[call].rank",
        "False",
        (PERMITS,),
    ),
    Mutant(
        "what was denied is asked for again at once",
        PLACEMENT + "links.py",
        "        if denial is not None and not denial.over:\n",
        "        if False:\n",
        (PERMITS,),
    ),
    Mutant(
        "a grant that comes too late starts its call",
        PLACEMENT + "permits.py",
        "if call is None or call.phase is not Phase.ACQUIRING or needed != grant.permit:",
        "if call is None:",
        (f"{PERMITS}::test_a_grant_of_a_permit_that_is_not_the_one_waited_for_starts_nothing",),
    ),
    Mutant(
        "a denial that is over is noticed by nobody",
        PLACEMENT + "permits.py",
        "            denial.over = True\n            _asked_again(board, permit)\n",
        "            denial.over = True\n",
        (PERMITS,),
    ),
    Mutant(
        "a settle that was not heard is not said again",
        "ygg/running/limiters.py",
        "SETTLE_TRIES = 8",
        "SETTLE_TRIES = 1",
        (LIMITERS,),
    ),
    Mutant(
        "an end forgets whoever waits for the task",
        CORE + "calls.py",
        "            effects.append(Tell((task,)))\n",
        "            pass\n",
        (CALLS,),
    ),
    Mutant(
        "all attempts of a call end like its first",
        CORE + "calls.py",
        "outcome = event.outcomes.get(attempt.id, _UNTOLD)",
        "outcome = next(iter(event.outcomes.values()), _UNTOLD)",
        (CALLS,),
    ),
    Mutant(
        "stopping one attempt stops its whole call",
        CORE + "calls.py",
        "return [Cancel(call.id, one.id) for one in sent",
        "return [Cancel(call.id, None) for one in sent",
        (CALLS,),
    ),
    Mutant(
        "a wide call takes one slot",
        PLACEMENT + "permits.py",
        "    host.busy += call.width\n",
        "    host.busy += 1\n",
        (CALLS,),
    ),
    Mutant(
        "two runs name their calls alike",
        PLACEMENT + "dispatching.py",
        'f"{board.run}-{board.serial}"',
        'f"{board.serial}"',
        (CALLS,),
    ),
    Mutant(
        "a link writes to the board",
        PLACEMENT + "residency.py",
        "    if not concerns(board, candidate):\n        return None\n    if yields",
        "    if not concerns(board, candidate):\n        return None\n"
        "    board.hosts[candidate.host].servers[candidate.endpoint].passed_since = now.mono\n"
        "    if yields",
        (LINKS,),
    ),
    Mutant(
        "a question remembers a lane that nobody waits in",
        PLACEMENT + "lanes.py",
        "    route = candidates.of_lane(board, lane)\n    return LaneState",
        "    route = candidates.of_lane(board, lane)\n    board.unseen[lane, Priority.LOW] = None\n"
        "    return LaneState",
        (LINKS,),
    ),
    Mutant(
        "a host that changed is not looked at",
        PLACEMENT + "permits.py",
        "    host.busy -= host.grants.pop(call.id)\n    board.changed(host.host.name)\n",
        "    host.busy -= host.grants.pop(call.id)\n",
        (DISPATCHING,),
    ),
    Mutant(
        "a lane that changed is not looked at",
        PLACEMENT + "lanes.py",
        "    board.changed_lanes[state.lane] = None\n",
        "",
        (DISPATCHING,),
    ),
    Mutant(
        "a task that avoids a host waits for it though no other is up",
        PLACEMENT + "dispatching.py",
        "        asked.update(board.avoiding)\n",
        "",
        (DISPATCHING,),
    ),
    Mutant(
        "windows show the store's order by number alone",
        PLACEMENT + "lanes.py",
        '_ORDER = attrgetter("rank", "seq")',
        '_ORDER = attrgetter("seq", "rank")',
        (LANES,),
    ),
    Mutant(
        "windows have no bound",
        CORE + "board.py",
        "return min(WINDOW, max(16, 2 * self.reach.slots))",
        "return max(16, 2 * self.reach.slots)",
        (LANES,),
    ),
    Mutant(
        "calls that are thought away still take their slots",
        PLACEMENT + "rounds.py",
        "if call in self.gone)",
        "if False)",
        (LINKS,),
    ),
    Mutant(
        "a task that is held and runs nowhere stays so",
        CORE + "calls.py",
        "effects: list[Effect] = [_finish(board, ends)] if ends else []",
        "effects: list[Effect] = []",
        (CALLS,),
    ),
    Mutant(
        "a call whose task was ended by another runs on",
        CORE + "calls.py",
        "if row is None or row.attempt != attempt.id.number:",
        "if row is None:\n        return []\n    if row.attempt != attempt.id.number:",
        (CALLS,),
    ),
    Mutant(
        "what ends while the store is asked is taken for a stray",
        CORE + "calls.py",
        "board.call_of.keys() | board.finishing.keys()",
        "board.call_of.keys()",
        (CALLS,),
    ),
    Mutant(
        "a claim of which nothing is known is claimed again by guess",
        CORE + "calls.py",
        "permits.settle(board, call) if event.unknown else",
        "permits.give_back(board, call) if event.unknown else",
        (CALLS,),
    ),
]
