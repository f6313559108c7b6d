"""Planted bugs in the decisions."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CORE = "ygg/core/"
DISPATCHING = "tests/core/placement/test_dispatching.py"
RETRYING = "tests/core/test_retrying.py"
GATES = "tests/core/hosts/test_gates.py"
TIMING = "tests/core/test_timing.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "a full gate lets one more through",
        "ygg/core/hosts/gates.py",
        "return _full(host, taken.host, now) if taken.host >= limit(host) else None",
        "return _full(host, taken.host, now) if taken.host > limit(host) else None",
        (f"{DISPATCHING}::test_no_host_is_given_more_than_its_slots",),
    ),
    Mutant(
        "priorities are ignored",
        CORE + "placement/ranking.py",
        "return (head.priority, head.seq)",
        "return (0, head.seq)",
        (f"{DISPATCHING}::test_better_priority_goes_first_and_equals_keep_their_order",),
    ),
    Mutant(
        "unseen windows do not hold their hosts",
        "ygg/core/placement/links.py",
        "    if not turn.board.unseen:\n",
        "    if True:\n",
        (DISPATCHING,),
    ),
    Mutant(
        "heads beyond a peek are kept",
        "ygg/core/placement/lanes.py",
        "    if not event.complete:\n        last",
        "    if False:\n        last",
        (DISPATCHING,),
    ),
    Mutant(
        "a refused claim keeps its slot",
        "ygg/core/calls.py",
        "    if not state.tries:\n        return permits.settle(board, state)\n",
        "    if not state.tries:\n        return []\n",
        (DISPATCHING,),
    ),
    Mutant(
        "a dead host charges its tasks",
        CORE + "retrying.py",
        "OutcomeKind.UNREACHABLE: (S.QUEUED, ReasonCode.HOST_DOWN)",
        "OutcomeKind.UNREACHABLE: (S.FAILED, ReasonCode.HOST_DOWN)",
        (RETRYING,),
    ),
    Mutant(
        "errors have no budget",
        CORE + "retrying.py",
        "    if errors >= budget:\n",
        "    if errors >= 10**9:\n",
        (RETRYING,),
    ),
    Mutant(
        "the breaker never opens",
        CORE + "hosts/gates.py",
        "    if server.open:\n        return _down_reason(name, server, now)",
        "    if False:\n        return _down_reason(name, server, now)",
        (RETRYING, GATES),
    ),
    Mutant(
        "probes of a dead host do not slow down",
        "ygg/core/hosts/gates.py",
        "max(policy.probe_min_s, 2 * server.retry_s)",
        "policy.probe_min_s",
        (GATES,),
    ),
    Mutant(
        "Retry-After is ignored",
        CORE + "hosts/gates.py",
        "    pause = asked_s(outcome, policy)\n",
        "    pause = 0.0\n",
        (GATES,),
    ),
    Mutant(
        "out of memory lowers no limit",
        CORE + "hosts/limits.py",
        "    host.limit -= 1\n",
        "    host.limit -= 0\n",
        (GATES,),
    ),
    Mutant(
        "ageing forgets the priority",
        CORE + "placement/ranking.py",
        "head.created_ms + head.priority * policy.ageing_s * 1000",
        "head.created_ms - head.priority * policy.ageing_s * 1000",
        (DISPATCHING,),
    ),
    Mutant(
        "an end the store refused for lack of space is forgotten",
        "ygg/core/calls.py",
        "    board.unwritten.update((end.task_id, end) for end in event.ends)\n",
        "",
        (TIMING,),
    ),
    Mutant(
        "due times wait for the poll",
        CORE + "timing.py",
        "return min(board.poll_at, now.mono + (board.next_due_ms - now.wall_ms) / 1000)",
        "return board.poll_at",
        (TIMING,),
    ),
    Mutant(
        "an end the store will never take is tried for ever",
        "ygg/running/loop.py",
        "    if passing or len(ends) > 1:",
        "    if True:",
        ("tests/shell/test_loop.py::test_an_end_that_cannot_be_stored_stops_nobody_else",),
    ),
    Mutant(
        "a good check alone forgets how long to wait",
        "ygg/core/hosts/gates.py",
        "    if was is HostHealth.UP:  # twice",
        "    if True:  # twice",
        ("tests/core/hosts/test_gates.py",),
    ),
    Mutant(
        "one refusal narrows a host for ever",
        "ygg/core/hosts/gates.py",
        "    if server.busy_times and calm_at(server, policy) <= now.mono:",
        "    if False:",
        ("tests/core/hosts/test_gates.py",),
    ),
    Mutant(
        "a task that needs a GPU runs anywhere",
        "ygg/core/placement/candidates.py",
        "        if kind in by_kind:\n            by_kind[kind]",
        "        if True:\n            by_kind[kind if kind in by_kind else kinds[0]]",
        ("tests/core/hosts/test_gates.py",),
    ),
    Mutant(
        "somebody else's timeout fails the task",
        "ygg/running/calls.py",
        "        if run.limit is not None and run.limit.expired():",
        "        if isinstance(bug, TimeoutError):",
        ("tests/shell/test_calls.py",),
    ),
    Mutant(
        "an answer that a client has got some of is begun anew",
        "ygg/core/retrying.py",
        "if case.outcome.delivered and case.outcome.kind not in _LAST:",
        "if False:",
        ("tests/core/test_retrying.py",),
    ),
    Mutant(
        "a shutdown forgets that a client has got some of the answer",
        "ygg/core/calls.py",
        "message, delivered=outcome.delivered)",
        "message)",
        ("tests/core/test_retrying.py",),
    ),
]
