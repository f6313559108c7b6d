"""What doctor says of clock, service manager and terminal."""

from __future__ import annotations

import os
from pathlib import Path

import apsw
import pytest

from tests.ops.doctor.house import one
from tests.surface.cli import Cli
from ygg.ops.doctor import machine
from ygg.ops.doctor.checks import Status


def test_a_clock_that_was_set_back_is_an_error(offline: Cli, database: Path) -> None:
    assert one(offline, "time")["status"] == "ok"
    db = apsw.Connection(str(database))
    db.execute("UPDATE tasks SET created_ms = created_ms + 3600000")
    db.close()
    check = one(offline, "time")
    assert check["status"] == "error"
    assert "behind the newest task" in check["message"]
    assert "timedatectl" in check["fix"]


def test_a_clock_before_the_build_is_an_error(
    offline: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.time, "time", lambda: 1000.0)
    assert next(c.status for c in machine.clock(Path("/nowhere/ygg.db"))) is Status.ERROR


@pytest.mark.parametrize(
    ("made", "status"),
    [((), "ok"), (("timesync",), "warning"), (("timesync", "timesync/synchronized"), "ok")],
)
def test_the_flag_of_timesyncd_is_read(
    offline: Cli, made: tuple[str, ...], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = offline.folder / "systemd"
    run.mkdir()
    for name in made:
        (run / name).mkdir()
    monkeypatch.setattr(machine, "RUN", run)
    assert one(offline, "ntp")["status"] == status


@pytest.fixture
def systemd(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with systemd, without ygg's unit; systemctl says what `says` holds."""
    run, units, bin_ = (offline.folder / n for n in ("systemd", "units", "bin"))
    for folder in (run / "system", units, bin_):
        folder.mkdir(parents=True)
    monkeypatch.setattr(machine, "RUN", run)
    monkeypatch.setattr(machine, "UNIT_FOLDERS", (str(units),))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(offline.folder / "config"))
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    script = bin_ / "systemctl"
    script.write_text(f'#!/bin/sh\necho "$@" > {offline.folder}/asked\n. {offline.folder}/says\n')
    script.chmod(0o755)
    return units


@pytest.mark.parametrize(
    ("says", "status"), [("active", "ok"), ("inactive", "warning"), ("failed", "error")]
)
def test_an_installed_unit_is_asked_after(
    offline: Cli, systemd: Path, says: str, status: str
) -> None:
    assert "not installed" in one(offline, "unit")["message"]
    (systemd / "ygg.service").touch()
    (offline.folder / "says").write_text(f"echo {says}; exit 3\n")
    assert one(offline, "unit")["status"] == status
    assert (offline.folder / "asked").read_text() == "is-active ygg\n"


def test_a_unit_of_the_user_is_asked_after_as_such(offline: Cli, systemd: Path) -> None:
    unit = offline.folder / "config/systemd/user/ygg.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    (offline.folder / "says").write_text("echo failed\n")
    assert "systemctl --user restart" in one(offline, "unit")["fix"]
    assert (offline.folder / "asked").read_text() == "--user is-active ygg\n"


def test_a_systemctl_that_hangs_is_given_up(
    offline: Cli, systemd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "SYSTEMCTL_S", 0.2)
    (systemd / "ygg.service").touch()
    (offline.folder / "says").write_text("exec sleep 60\n")
    check = one(offline, "unit")
    assert check["status"] == "warning"
    assert "unknown" in check["message"]


@pytest.mark.parametrize(("term", "status"), [("dumb", "warning"), ("xterm", "ok")])
def test_a_terminal_without_screen_is_a_warning(
    offline: Cli, term: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    body = offline("doctor", "--json", tty=True).json
    screen, encoding = [c for c in body["checks"] if c["category"] == "terminal"]
    assert screen["status"] == status
    assert encoding["name"] == "encoding"
    assert one(offline, "screen")["status"] == "ok", "a pipe needs no screen"
