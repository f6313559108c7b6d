"""ygg logs: which log is meant, its last lines, and what comes."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.surface.cli import Cli
from tests.system.rig import YGG, Daemon, until
from ygg import paths
from ygg.cli import logs


def written(cli: Cli, *lines: str) -> Path:
    path = paths.log_file(cli.state)
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_the_last_lines_of_the_file_are_printed_without_escape_codes(offline: Cli) -> None:
    path = written(offline, *(f"line {n}" for n in range(100)), "\x1b[31mred")
    assert offline.ok("logs", "-n", "3").lines == ["line 98", "line 99", "[31mred"]
    assert len(offline.ok("logs").lines) == 50
    body = offline.ok("logs", "--json", "-n", "2").json
    assert body == {
        "schema": "ygg.logs/1",
        "source": str(path),
        "lines": ["line 99", "\x1b[31mred"],
    }


def test_a_long_file_is_read_from_its_end(offline: Cli) -> None:
    written(offline, *(f"{n} " + "x" * 1000 for n in range(1000)))
    assert [line.split()[0] for line in offline.ok("logs", "-n", "200").lines] == [
        str(n) for n in range(800, 1000)
    ]


def test_a_log_that_is_not_there_is_told(offline: Cli) -> None:
    ran = offline("logs")
    assert (ran.code, ran.out) == (3, "")
    assert str(paths.log_file(offline.state)) in ran.err
    assert "ygg loop --async" in ran.err


def test_of_a_service_the_journal_is_asked(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    units = offline.folder / "units"
    units.mkdir()
    (units / paths.UNIT).touch()
    monkeypatch.setattr(paths, "SYSTEM_UNITS", (units,))
    tools = offline.folder / "bin"
    tools.mkdir()
    tool = tools / "journalctl"
    tool.write_text('#!/bin/sh\necho "asked: $*"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    asked = "asked: --unit ygg.service --no-pager --lines 7"
    assert offline.ok("logs", "-n", "7").lines == [asked]
    assert offline.ok("logs", "-n", "7", "-f").lines == [f"{asked} --follow"]
    tool.write_text("#!/bin/sh\necho 'no permission' >&2; exit 1\n")
    ran = offline("logs")
    assert ran.code == 1
    assert "no permission" in ran.err


class Followed:
    """Lines of a file that is followed, in a thread of their own."""

    def __init__(self, path: Path) -> None:
        self.lines = list[str]()
        self._coming: Iterator[str] = logs._file(path, 1, follow=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._coming:
            self.lines.append(line)


def test_what_comes_is_printed_line_by_line_also_in_the_file_that_follows(tmp_path: Path) -> None:
    path = tmp_path / "ygg.log"
    path.write_text("old\nlast\n")
    followed = Followed(path)
    until(lambda: followed.lines == ["last"], 10, "the last line")
    with path.open("a") as log:
        log.write("first ha")
        log.flush()
        log.write("lf\nsecond\n")
    until(lambda: followed.lines[1:] == ["first half", "second"], 10, "what came")
    path.rename(tmp_path / "ygg.log.1")
    path.write_text("anew\n")
    until(lambda: followed.lines[3:] == ["anew"], 10, "the file that follows")


def test_of_a_daemon_that_is_named_by_its_socket_the_file_is_found(tmp_path: Path) -> None:
    config = tmp_path / "hosts.yaml"
    config.write_text(
        "hosts: {a: {slots: 1, backend: ollama, url: 'http://127.0.0.1:9', models: [m], telemetry: 'off'}}\n"
        "task_types: {general: {route: [a]}}\n"
    )
    home = Daemon(tmp_path, config)
    home.start()
    try:
        elsewhere = home.env | {"YGG_STATE": str(tmp_path / "elsewhere")}
        found = subprocess.run(
            [*YGG, "--socket", str(tmp_path / "run" / "ygg" / "ygg.sock"), "logs"],
            env=elsewhere, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "ready: 1 host, socket" in found.stdout
    finally:
        home.stop()
