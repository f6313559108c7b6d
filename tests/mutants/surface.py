"""Planted bugs in the loop, the streams, the audit and the pages of docs."""

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
        "        if self.board.stopping:",
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
        "ygg/intake/parsing.py",
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
        "the page on the house names a module that has moved",
        "docs/architecture.md",
        "for the task `ygg/core/retrying.py`",
        "for the task `ygg/core/outcomes.py`",
        ("tests/test_docs.py::test_everything_that_the_page_on_the_house_names_is_there",),
    ),
    Mutant(
        "the page on the house names a function that is gone",
        "docs/architecture.md",
        "(`permits.take`)",
        "(`permits.hold`)",
        ("tests/test_docs.py::test_everything_that_the_page_on_the_house_names_is_there",),
    ),
    Mutant(
        "two rooms of the picture have changed places",
        "docs/architecture.md",
        "\nconfig | core ",
        "\ncore | config ",
        ("tests/test_docs.py::test_the_picture_shows_every_room_with_the_direction_of_imports",),
    ),
    Mutant(
        "rooms of the picture may import each other, which may not",
        "docs/architecture.md",
        "stores | backends | probes ",
        "stores : backends : probes ",
        ("tests/test_docs.py::test_the_picture_shows_every_room_with_the_direction_of_imports",),
    ),
    Mutant(
        "a page names a file that is not there",
        "README.md",
        "`ygg/running` performs",
        "`ygg/loop.py` performs",
        ("tests/test_docs.py::test_every_path_that_a_page_names_is_there",),
    ),
]
