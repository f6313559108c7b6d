"""Planted bugs in the loop, the streams and the audit."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: list[Mutant] = [
    Mutant(
        "a cancelled call runs on",
        "ygg/loop.py",
        "                    self._calls[task_id].cancel()",
        "                    pass",
        ("tests/shell/test_loop.py::test_cancelling_a_running_task_stops_its_stream",),
    ),
    Mutant(
        "waiters are not woken",
        "ygg/loop.py",
        "                        waiter.set_result(task)",
        "                        pass",
        ("tests/shell/test_loop.py::test_waiting_gives_the_row_as_it_is_when_time_is_up",),
    ),
    Mutant(
        "late followers miss the beginning",
        "ygg/streams.py",
        "                reader.put(item)\n        self._readers",
        "                pass\n        self._readers",
        ("tests/shell/test_loop.py::test_a_follower_sees_every_piece_whenever_it_comes",),
    ),
    Mutant(
        "submits are taken while draining",
        "ygg/dispatcher.py",
        "        if self.state.draining:",
        "        if False:",
        ("tests/shell/test_loop.py::test_a_shutdown_waits_for_running_calls_and_refuses_submits",),
    ),
]
