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
ENDPOINTS = "tests/core/hosts/test_gates.py"
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
        (f"{RESIDENCY}::test_a_server_that_is_gone_changes_no_models",),
    ),
    Mutant(
        "nobody wakes when a reading is too late to wait for",
        CORE + "hosts/limits.py",
        "    late = now.mono >= gauge.asked",
        "    late = now.mono > gauge.asked",
        (
            "tests/core/hosts/test_limits.py::test_a_first_reading_that_does_not_come_is_waited_for_no_longer_than_one_is_fresh",
        ),
    ),
    Mutant(
        "a model that nobody waits for is kept",
        PLACEMENT + "residency.py",
        "    return _warm_waits(turn, candidate, could)\n",
        "    return True\n",
        (f"{RESIDENCY}::test_a_model_that_nobody_waits_for_makes_room_at_once",),
    ),
    Mutant(
        "a slot is kept for tasks that may not start there",
        PLACEMENT + "links.py",
        "asked = (refused, avoided, apart, sick, kind, rate)",
        "asked = (sick, kind, rate)",
        (f"{RESIDENCY}::test_no_slot_is_kept_for_tasks_that_something_else_holds_back",),
    ),
    Mutant(
        "a server drains for a model that finds no room",
        PLACEMENT + "links.py",
        "    if fitting.hopeless(turn, candidate):\n        return None  # `memory` says why\n",
        "",
        (f"{RESIDENCY}::test_no_server_drains_for_a_model_that_finds_no_room_even_then",),
    ),
    Mutant(
        "one task makes every server drain",
        PLACEMENT + "remedies.py",
        "), state.queued):",
        "), None):",
        (f"{RESIDENCY}::test_one_task_makes_one_server_drain",),
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
        "    if moved or host.condition is not before:\n",
        "    if moved:\n",
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
        (f"{DISPATCHING}::test_a_slot_that_is_taken_again_asks_no_further_lane",),
    ),
    Mutant(
        "a type's own options of loading are forgotten",
        CORE + "owning.py",
        "    board.loading = loading(event.types)\n",
        "",
        (
            "tests/core/placement/test_residency.py::test_a_model_is_loaded_with_one_set_of_options_whoever_asks",
        ),
    ),
    Mutant(
        "a slot is given back twice",
        PLACEMENT + "permits.py",
        "    _count(host, call, -host.grants.pop(call.id))\n",
        "    _count(host, call, -2 * host.grants.pop(call.id))\n",
        (CALLS,),
    ),
    Mutant(
        "a slot is never given back",
        PLACEMENT + "permits.py",
        "    _count(host, call, -host.grants.pop(call.id))\n",
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
        "            return self.rank < call.rank\n",
        "            return False\n",
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
        (f"{LIMITERS}::test_a_settle_that_is_not_heard_is_said_again_and_keeps_nobody_waiting",),
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
        "    _count(host, call, call.width)\n",
        "    _count(host, call, 1)\n",
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
        "    if not concerns(turn.board, candidate):\n        return None\n    if yields",
        "    if not concerns(turn.board, candidate):\n        return None\n"
        "    turn.board.hosts[candidate.host].servers[candidate.endpoint].passed_since = turn.now.mono\n"
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
        "    _count(host, call, -host.grants.pop(call.id))\n    board.changed(host.host.name)\n",
        "    _count(host, call, -host.grants.pop(call.id))\n",
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
        (
            f"{DISPATCHING}::test_a_task_goes_back_to_the_host_it_avoids_at_once_when_the_others_go_down",
        ),
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
        "a server gets as many calls as its host has slots",
        CORE + "hosts/gates.py",
        "own = host.limit if server.slots is None else min(host.limit, server.slots)",
        "own = host.limit",
        (f"{ENDPOINTS}::test_a_server_gets_no_more_calls_than_it_has_slots",),
    ),
    Mutant(
        "a reload forgets what runs on a server",
        CORE + "owning.py",
        "    permits.recount(board)\n",
        "",
        (f"{ENDPOINTS}::test_a_reload_of_another_address_keeps_count_of_what_runs",),
    ),
    Mutant(
        "the pause of one server holds up the others of its host",
        CORE + "hosts/gates.py",
        "    if len(host.servers) != 1:\n        return host.limit\n    (server,) = host.servers.values()\n",
        "    server = min(host.servers.values(), key=lambda one: room(host, one))\n",
        (f"{ENDPOINTS}::test_a_server_that_asks_for_a_pause_holds_up_no_other",),
    ),
    Mutant(
        "a slot is made at another server than the one that needs it",
        PLACEMENT + "permits.py",
        "(c for c in waiting if c.candidate.endpoint == new.candidate.endpoint)",
        "waiting",
        (
            f"{ENDPOINTS}::test_a_better_task_takes_the_slot_of_a_worse_one_that_waits_for_a_permit_there",
        ),
    ),
    Mutant(
        "calls that are thought away still take their slots",
        PLACEMENT + "rounds.py",
        "if call in self.gone or self.displaces(self.board.calls[call]):",
        "if self.displaces(self.board.calls[call]):",
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
