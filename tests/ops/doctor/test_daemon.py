"""What doctor says of the daemon and its socket."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ops.doctor.house import one
from tests.surface.cli import Cli
from tests.surface.world import Api
from ygg import locking
from ygg.ops.doctor import checks, daemon
from ygg.ops.doctor.checks import Status


def test_a_running_daemon_is_in_order_and_its_database_is_looked_at(cli: Cli) -> None:
    assert one(cli, "daemon")["status"] == "ok"
    assert one(cli, str(cli.socket))["status"] == "ok"
    assert "/var/lib/ygg/ygg.db" in one(cli, "database")["message"]


def test_a_paused_daemon_is_a_warning(cli: Cli, home: Api) -> None:
    cli.ok("queue", "pause")
    check = one(cli, "daemon")
    assert check["status"] == "warning"
    assert "paused" in check["message"]


def test_another_version_is_a_warning(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "__version__", "99.0")
    check = one(cli, "daemon")
    assert check["status"] == "warning"
    assert "restart" in check["fix"]


@pytest.mark.parametrize(
    ("stalls", "says"),
    [
        ({"loop": 2, "machine": 1, "longest_s": 3.5}, "the daemon stood still 2 times, 3.5 s at worst"),
        ({"loop": 0, "machine": 1, "longest_s": 9.0}, "this machine stood still 1 times"),
        ({"loop": 0, "machine": 0, "longest_s": 0.0}, "answers, process 7"),
        (None, "answers, process 7"),
    ],
)  # fmt: skip
def test_stalls_are_a_warning(tmp_path: Path, stalls: object, says: str) -> None:
    told = {"version": daemon.__version__, "pid": 7, "stalls": stalls}
    check, *_ = daemon.findings(told, str(tmp_path / "none"), {"HOME": str(tmp_path)})
    assert says in check.message
    assert (check.status is Status.WARNING) == ("stood still" in says)


def test_a_daemon_whose_database_was_replaced_is_an_error(tmp_path: Path) -> None:
    database = tmp_path / "ygg.db"
    told = {"version": daemon.__version__, "pid": os.getpid(), "store": str(database)}

    def errors() -> list[str]:
        found = daemon.findings(told, str(tmp_path / "none"), {"HOME": str(tmp_path)})
        return [c.message for c in found if c.status is Status.ERROR]

    handle = locking.lock(database, dispatcher=True)
    assert errors() == []
    database.rename(tmp_path / "away")
    database.touch()
    assert "does not hold" in errors()[0]
    os.close(handle)


def test_a_daemon_that_never_answers_costs_its_deadline(
    offline: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "DEADLINE_S", 0.5)
    offline.socket.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(offline.socket))
        listener.listen()
        body = offline("doctor", "--json").json
    daemon = next(c for c in body["checks"] if c["name"] == "daemon")
    assert daemon["status"] == "error"
    assert "0.5 s" in daemon["message"]


def test_a_socket_of_a_dead_daemon_is_told(offline: Cli) -> None:
    offline.socket.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(offline.socket))
    check = one(offline, "daemon")
    assert check["status"] == "warning"
    assert "died" in check["message"]


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o660)
        yield path


def test_a_socket_that_may_not_be_used_says_how_to_join(
    bound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    check = daemon._socket(bound)
    assert check.status is Status.ERROR
    assert "usermod" in check.fix
    assert "mode 0660" in check.message


def test_a_login_older_than_the_membership_is_recognised(
    bound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import grp
    import pwd

    me = pwd.getpwuid(os.getuid()).pw_name
    entry = grp.struct_group(("ygg", "x", 1, [me]))
    monkeypatch.setattr(grp, "getgrnam", lambda _: entry)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "log out" in daemon._socket(bound).fix


def test_a_socket_for_everybody_is_a_warning(bound: Path) -> None:
    bound.chmod(0o666)
    check = daemon._socket(bound)
    assert check.status is Status.WARNING
    assert str(bound) in check.fix
    assert stat.S_IMODE(bound.stat().st_mode) == 0o666
