"""Planted bugs in what becomes of the slot of a call that was cut off before its first token."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

FILE, CORE = "ygg/core/hosts/ghosts.py", "tests/core/hosts/test_ghosts.py"
CASES, INSIDE = "tests/cases/test_ghosts.py", "tests/backends/test_inside.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "a call that is cut off in its prefill frees its slot at once",
        "ygg/core/calls.py",
        "    effects += ghosts.stay(board, call, event.outcomes.values(), now)\n",
        "",
        (
            f"{CASES}::test_the_next_task_is_sent_when_the_server_says_that_its_slot_is_free[cancelled]",
        ),
    ),
    Mutant(
        "a call that is cut off while it answers keeps its slot",
        FILE,
        "unheard = call.answered is None and any(",
        "unheard = any(",
        (CORE,),
    ),
    Mutant(
        "a call that its server ended leaves a ghost",
        FILE,
        "any(outcome.abandoned for outcome in outcomes)",
        "bool(outcomes)",
        (CORE,),
    ),
    Mutant(
        "our own calls count as ghosts",
        FILE,
        "event.inside - _answered(board, event))",
        "event.inside)",
        (CORE,),
    ),
    Mutant(
        "a call that has not answered counts as one that is surely inside",
        FILE,
        " if c.phase is Phase.RUNNING and c.answered is not None)",
        " if c.phase is Phase.RUNNING)",
        (CORE,),
    ),
    Mutant(
        "a server that has no word for it is waited for to the bound",
        FILE,
        "            ghost.until = min(ghost.until, ghost.since + bound)\n",
        "            pass\n",
        (CORE,),
    ),
    Mutant(
        "a ghost stays for ever",
        FILE,
        "if ghost.until <= now.mono]:",
        "if False]:",
        (CORE,),
    ),
    Mutant(
        "a server is asked again before it has answered",
        FILE,
        "if not server.ghosts or server.inside_asked or server.inside_at > now.mono:",
        "if not server.ghosts or server.inside_at > now.mono:",
        (CORE,),
    ),
    Mutant(
        "nobody wakes for a ghost",
        "ygg/core/timing.py",
        "times.append(ghosts.next_change(server))\n",
        "pass\n",
        (CORE,),
    ),
    Mutant(
        "a host that is resumed keeps its ghosts",
        "ygg/core/owning.py",
        "        ghosts.forget(board, host)\n",
        "        pass\n",
        (f"{CORE}::test_a_person_who_resumes_the_host_frees_its_slots",),
    ),
    Mutant(
        "a haunted host is called full",
        "ygg/core/hosts/gates.py",
        "    if busy - ghosts.width(*host.servers.values()) < limit(host):\n",
        "    if False:\n",
        (CORE,),
    ),
    Mutant(
        "a slot that is taken by a ghost is shown as free",
        "ygg/core/hosts/gates.py",
        "    return min(servers, max(0, limit(host) - host.busy))",
        "    return max(0, limit(host) - len(host.grants))",
        ("tests/telling/test_snapshotting.py::test_a_slot_that_a_call_left_behind_is_not_free",),
    ),
    Mutant(
        "a new configuration forgets who has a slot",
        "ygg/core/placement/permits.py",
        "        host.busy = sum(host.grants.values()) + ghosts.width(*host.servers.values())\n",
        "",
        (CORE,),
    ),
    Mutant(
        "a call that was cancelled is not known to be abandoned",
        "ygg/running/drivers.py",
        "Outcome(OutcomeKind.CANCELLED, abandoned=True)",
        "Outcome(OutcomeKind.CANCELLED)",
        (
            f"{CASES}::test_the_next_task_is_sent_when_the_server_says_that_its_slot_is_free[cancelled]",
        ),
    ),
    Mutant(
        "a call without a first token in time is not known to be abandoned",
        "ygg/backends/failures.py",
        """    text = f"{what} for {limit_s:g} s"
    return CallFailed(OutcomeKind.ERROR, text, broken=True, abandoned=True)""",
        """    text = f"{what} for {limit_s:g} s"
    return CallFailed(OutcomeKind.ERROR, text, broken=True)""",
        (
            f"{CASES}::test_the_next_task_is_sent_when_the_server_says_that_its_slot_is_free[silent]",
        ),
    ),
    Mutant(
        "a task whose deadline passed before the first token is not known to be abandoned",
        "ygg/running/calls.py",
        "return Outcome(OutcomeKind.EXPIRED, text, abandoned=True)",
        "return Outcome(OutcomeKind.EXPIRED, text)",
        (f"{CASES}::test_the_next_task_is_sent_when_the_server_says_that_its_slot_is_free[late]",),
    ),
    Mutant(
        "a server that gives no answer now has no word for it",
        "ygg/running/drivers.py",
        "lambda _: ev.InsideTold(host, endpoint, None),",
        "lambda _: ev.InsideTold(host, endpoint, None, tells=False),",
        ("tests/shell/test_inside.py",),
    ),
    Mutant(
        "idle slots of llama.cpp are counted",
        "ygg/backends/inside.py",
        "return sum(busy) if len(busy) == len(told) else None",
        "return len(busy) if len(busy) == len(told) else None",
        (INSIDE,),
    ),
    Mutant(
        "requests that wait inside vLLM are not counted",
        "ygg/backends/inside.py",
        "(?:running|waiting)",
        "(?:running)",
        (INSIDE,),
    ),
]
