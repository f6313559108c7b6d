"""Planted bugs in the loop, the streams and the audit."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: list[Mutant] = [
    Mutant(
        "a cancelled call runs on",
        "ygg/running/drivers.py",
        "            flight.task.cancel()",
        "            pass",
        ("tests/shell/test_loop.py::test_cancelling_a_running_task_stops_its_stream",),
    ),
    Mutant(
        "waiters are not woken",
        "ygg/running/waiting.py",
        "                        waiter.set_result(task)",
        "                        pass",
        ("tests/shell/test_loop.py::test_waiting_gives_the_row_as_it_is_when_time_is_up",),
    ),
    Mutant(
        "late followers miss the beginning",
        "ygg/running/streams.py",
        "            reader.replay(",
        "            len(",
        ("tests/shell/test_loop.py::test_a_follower_sees_every_piece_whenever_it_comes",),
    ),
    Mutant(
        "submits are taken while draining",
        "ygg/running/dispatcher.py",
        "        if self.board.draining:",
        "        if False:",
        ("tests/shell/test_loop.py::test_a_shutdown_waits_for_running_calls_and_refuses_submits",),
    ),
    Mutant(
        "escape codes reach the terminal",
        "ygg/view/text.py",
        '    if kind in ("Cc", "Cf"):',
        '    if kind == "Cc" and char == "\\x00":',
        (
            "tests/surface/test_cli.py::test_escape_codes_of_foreign_text_never_reach_a_terminal",
            "tests/surface/test_view.py::test_a_frame_fills_the_terminal_exactly_whatever_the_text",
        ),
    ),
    Mutant(
        "bad lines are numbered from the start of their chunk",
        "ygg/intake/reading.py",
        "            yield number, _line(raw)",
        "            yield number % 500, _line(raw)",
        ("tests/surface/test_cli_submit.py",),
    ),
    Mutant(
        "an atomic file is stored in parts",
        "ygg/cli/submit.py",
        "_chunks(lines(stream), None if atomic else CHUNK)",
        "_chunks(lines(stream), CHUNK)",
        ("tests/surface/test_cli_submit.py",),
    ),
    Mutant(
        "a device is replaced by a file",
        "ygg/cli/read.py",
        "        if path.exists() and not path.is_file():",
        "        if False:",
        ("tests/surface/test_cli.py",),
    ),
    Mutant(
        "the submit path loads the configuration",
        "ygg/cli/submit.py",
        "CHUNK = 500",
        "import ygg.config  # noqa: E402, F401\n\nCHUNK = 500",
        ("tests/surface/test_cli.py::test_a_submit_to_the_daemon_loads_nothing_heavy",),
    ),
    Mutant(
        "frames are one column too wide",
        "ygg/view/text.py",
        "    if width(text) > columns:",
        "    if width(text) > columns + 1:",
        ("tests/surface/test_view.py",),
    ),
    Mutant(
        "no call waits for an attached reader",
        "ygg/running/streams.py",
        "return _room(full) if full else None",
        "return None",
        ("tests/shell/test_streams.py",),
    ),
    Mutant(
        "a call waits for its followers too",
        "ygg/running/streams.py",
        "return self.attached and self._size > BUFFER and not self._closed",
        "return self._size > BUFFER and not self._closed",
        ("tests/shell/test_streams.py",),
    ),
    Mutant(
        "an attached reader is cut off like a follower",
        "ygg/running/streams.py",
        "if self._size > KEEP and not self.attached:",
        "if self._size > BUFFER:",
        ("tests/shell/test_streams.py",),
    ),
    Mutant(
        "a reader that takes nothing is waited for without end",
        "ygg/running/streams.py",
        "                async with asyncio.timeout(GONE_S):",
        "                async with asyncio.timeout(100 * GONE_S):",
        ("tests/shell/test_streams.py",),
    ),
    Mutant(
        "what was delivered is not told",
        "ygg/running/drivers.py",
        "return replace(outcome, delivered=True) if delivered else outcome",
        "return outcome",
        ("tests/shell/test_streams.py",),
    ),
    Mutant(
        "a client gets the rest of an answer that failed",
        "ygg/running/streams.py",
        "                    reader.void()",
        "                    pass",
        ("tests/shell/test_streams.py",),
    ),
    Mutant(
        "what a follower takes counts as delivered",
        "ygg/running/streams.py",
        "return self._join(task_id, Reader())",
        "return self.attach(task_id)",
        ("tests/shell/test_streams.py",),
    ),
]
