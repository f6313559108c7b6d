"""Log lines for the journal and for a console."""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path
from typing import TextIO

import pytest

from ygg import private
from ygg.logs import ASK_LINES, CleanFormatter, JournalFormatter, RotatingLog, journal_stream


def record(level: int, text: str, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, None) if error else None
    return logging.LogRecord("ygg", level, "", 0, text, None, info)


@pytest.mark.parametrize(
    ("level", "prefix"),
    [
        (logging.DEBUG, "<7>"), (logging.INFO, "<6>"), (logging.WARNING, "<4>"),
        (logging.ERROR, "<3>"), (logging.CRITICAL, "<2>"),
    ],
)  # fmt: skip
def test_the_level_becomes_the_priority(level: int, prefix: str) -> None:
    assert JournalFormatter().format(record(level, "text")) == f"{prefix}text"


def test_every_line_of_a_traceback_carries_the_priority() -> None:
    text = JournalFormatter().format(record(logging.ERROR, "broke", ValueError("a\nb")))
    assert len(text.splitlines()) == 3
    assert all(line.startswith("<3>") for line in text.splitlines())


@pytest.mark.parametrize("formatter", [JournalFormatter(), CleanFormatter()])
def test_foreign_text_starts_no_line_of_its_own(formatter: logging.Formatter) -> None:
    line = formatter.format(record(logging.INFO, "quoted \n<0>forged\x1b[31m"))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


@pytest.mark.parametrize("formatter", [JournalFormatter(), CleanFormatter()])
def test_foreign_text_steers_no_terminal(formatter: logging.Formatter) -> None:
    """Whoever wrote the line: what comes from outside has been cleaned before, most of the time."""
    for steering in "\x00\x9b\x85\u200e\u202e\u2066\u2028\u2029\U000e0041":
        line = formatter.format(record(logging.INFO, f"quoted {steering}text"))
        assert line.endswith("quoted \N{REPLACEMENT CHARACTER}text")


def test_a_full_file_is_rotated_within_so_many_lines_and_loses_none(tmp_path: Path) -> None:
    path = tmp_path / "ygg.log"
    log = RotatingLog(path, most=100, kept=5)
    for n in range(3 * ASK_LINES):
        log.emit(record(logging.INFO, f"line {n}"))
    log.close()
    files = [f.read_text().splitlines() for f in sorted(tmp_path.iterdir(), reverse=True)]
    assert [len(lines) for lines in files] == [ASK_LINES] * 3
    assert [line for lines in files for line in lines] == [
        f"line {n}" for n in range(3 * ASK_LINES)
    ]


def test_a_warning_is_in_the_file_at_once_with_all_that_came_before(tmp_path: Path) -> None:
    path = tmp_path / "ygg.log"
    log = RotatingLog(path, most=10_000, kept=1)
    log.emit(record(logging.INFO, "first"))
    log.emit(record(logging.WARNING, "second"))
    assert path.read_text().splitlines() == ["first", "second"]
    log.close()


def test_a_quiet_line_is_written_without_a_further_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ygg.log"
    log = RotatingLog(path, most=10_000, kept=1)
    written = threading.Event()
    flush = logging.StreamHandler.flush

    def flushed(handler: logging.StreamHandler[TextIO]) -> None:
        flush(handler)
        if handler is log:
            written.set()

    monkeypatch.setattr(logging.StreamHandler, "flush", flushed)
    log.emit(record(logging.INFO, "alone"))
    assert written.wait(5)
    assert path.read_text() == "alone\n"
    log.close()


def test_the_journal_is_recognised_by_device_and_inode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "out").open("w") as out:
        at = os.fstat(out.fileno())
        name = f"{at.st_dev}:{at.st_ino}"
        monkeypatch.setattr(sys, "stdout", out)
        assert journal_stream({"JOURNAL_STREAM": name}) is out
        assert journal_stream({"JOURNAL_STREAM": f"{name}1"}) is None
        assert journal_stream({}) is None
        monkeypatch.setattr(sys, "stderr", out)
        monkeypatch.setattr(sys, "stdout", None)
        assert journal_stream({"JOURNAL_STREAM": name}) is out


def test_lines_that_a_full_disk_loses_are_counted_and_the_next_ones_are_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "logs" / "ygg.log"
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    log = RotatingLog(path, most=10_000, kept=1)
    opened = private.opened
    try:
        private.opened = lambda _, flags: os.open(path, flags)  # type: ignore[assignment]
        for n in range(4):
            log.handle(record(logging.ERROR, f"lost {n}"))
    finally:
        private.opened = opened
    path.unlink()
    for n in range(2):
        log.handle(record(logging.ERROR, f"kept {n}"))
    log.close()
    lines = path.read_text().splitlines()
    assert lines == ["... 4 lines are missing here: they could not be written", "kept 0", "kept 1"]
    assert capfd.readouterr() == ("", "")


def test_a_log_whose_folder_cannot_be_made_waits_for_it(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.write_text("in the way")
    log = RotatingLog(folder / "logs" / "ygg.log", most=10_000, kept=1)
    log.handle(record(logging.ERROR, "lost"))
    folder.unlink()
    log.handle(record(logging.ERROR, "kept"))
    log.close()
    assert (folder / "logs" / "ygg.log").read_text().splitlines()[1:] == ["kept"]
