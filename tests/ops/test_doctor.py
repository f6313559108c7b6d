"""`ygg doctor`: every check against the real thing, broken in the ways it looks for."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.llama.gguf_model import write_model
from tests.llama.server import MISSING, running_llama
from tests.ops.fakes import answering, free_port, llama_cpp, ollama, silent, vllm
from tests.surface.cli import Cli
from tests.surface.world import Api
from tests.system.rig import sim_servers
from ygg import wire
from ygg.ops import checks, checks_hosts, checks_machine, checks_socket, checks_store
from ygg.ops.checks import Check, Maker, Probe, Status

M = ("m", "8B", 1)


def found(cli: Cli, *args: str) -> list[dict[str, Any]]:
    checks_: list[dict[str, Any]] = cli("doctor", "--json", *args).json["checks"]
    return checks_


def one(cli: Cli, name: str) -> dict[str, Any]:
    """The finding of that name."""
    (check,) = [c for c in found(cli) if c["name"] == name]
    return check


def config(cli: Cli, *hosts: str, route: str = "[a]") -> None:
    """hosts.yaml with these host lines and one route."""
    lines = "\n".join(f"  {h}" for h in hosts)
    cli.config.write_text(f"hosts:\n{lines}\ntask_types:\n  general: {{route: {route}}}\n")


@contextmanager
def one_host(cli: Cli, pages: dict[str, Any], *, server: str = "", **host: Any) -> Iterator[int]:
    """hosts.yaml names one host `a`, which answers with these pages."""
    with answering(pages, server=server) as port:
        told = {"slots": 1, "backend": "ollama", "models": "[m]", **host}
        inner = ", ".join(f"{k}: {v}" for k, v in told.items())
        config(cli, f'a: {{{inner}, url: "http://127.0.0.1:{port}"}}')
        yield port


# --- the command ------------------------------------------------------------------------------------


def test_without_a_configuration_it_says_so_and_checks_the_rest(
    offline: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("YGG_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(offline.folder / "none"))
    monkeypatch.chdir(offline.folder)
    offline.config.unlink()
    ran = offline("doctor")
    assert ran.code == 1
    assert "no hosts.yaml found" in ran.out
    assert "ygg init" in ran.out
    assert {c["category"] for c in found(offline)} >= {"config", "store", "socket", "clock"}


def test_a_broken_configuration_is_a_finding_with_its_line(offline: Cli) -> None:
    offline.config.write_text("hosts:\n  surtr: {slotz: 1}\n")
    check = one(offline, "hosts.yaml")
    assert check["status"] == "error"
    assert f"{offline.config}:1" in check["message"]
    assert f"{offline.config}:2" in check["detail"]


def test_a_setting_without_effect_is_a_warning(offline: Cli) -> None:
    offline.config.write_text(f"{offline.config.read_text()}\napi: {{listen: 127.0.0.1:8420}}\n")
    found = [c for c in offline("doctor", "--json").json["checks"] if c["category"] == "config"]
    assert [c["status"] for c in found] == ["ok", "warning"]
    assert "api.listen: expected no such setting" in found[1]["message"]
    checked = offline("config", "check")
    assert (checked.code, "it has no effect" in checked.err) == (78, True)


def test_the_json_has_its_promised_shape(offline: Cli) -> None:
    body = offline("doctor", "--json").json
    assert body["schema"] == "ygg.doctor/1"
    assert set(body) == {"schema", "ok", "version", "platform", "checks"}
    for check in body["checks"]:
        assert set(check) == {"name", "category", "status", "message", "detail", "fix"}
        assert check["status"] in ("ok", "warning", "error")
    assert body["ok"] is False


def test_only_problems_are_shown_unless_asked(offline: Cli, tmp_path: Path) -> None:
    with sim_servers(tmp_path, 0.0, {"a": 1}) as urls:
        config(offline, f"a: {{slots: 1, backend: ollama, url: {urls['a']}, models: [m]}}")
        short, long = offline.ok("doctor").lines, offline.ok("doctor", "-v").lines
    assert len(short) == 3, "the missing daemon, its fix, and the summary"
    assert short[-1].endswith("1 warning")
    assert len(long) > 10
    assert short[-1] == long[-1]


def test_warnings_fail_only_a_strict_run(offline: Cli, tmp_path: Path) -> None:
    with one_host(offline, ollama(M)):
        assert offline("doctor").code == 0
        ran = offline("doctor", "--strict", "--json")
    assert ran.code == 1
    assert ran.json["ok"] is False


def test_nothing_a_person_can_break_gives_a_traceback(
    offline: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline.config.unlink()
    offline.config.mkdir()
    (offline.folder / "state").write_text("a file where a directory belongs")
    monkeypatch.delenv("TERM", raising=False)
    ran = offline("doctor", "-v", tty=True)
    assert ran.code == 1
    assert "bug" not in ran.out


# --- how checks are run -------------------------------------------------------------------------------


def run_all(*probes: Probe) -> list[Check]:
    return checks.run(checks.run_all(probes))


async def fine() -> list[Check]:
    return [Maker("fine", "x").ok("fine")]


def test_a_check_that_hangs_is_an_error_and_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "DEADLINE_S", 0.05)

    async def hangs() -> list[Check]:
        return await asyncio.Event().wait() and []

    async def hangs_in_a_thread() -> list[Check]:
        return await asyncio.to_thread(lambda: time.sleep(60) or [])

    begun = time.monotonic()
    first, second, third = run_all(
        Probe("hangs", "x", hangs), Probe("thread", "x", hangs_in_a_thread), Probe("f", "x", fine)
    )
    assert time.monotonic() - begun < 10
    assert (first.name, first.status) == ("hangs", Status.ERROR)
    assert "0.05 s" in first.message
    assert second.status is Status.ERROR
    assert third.status is Status.OK


def test_a_check_that_raises_is_a_bug_and_hides_no_other() -> None:
    async def raises() -> list[Check]:
        raise TimeoutError("of its own")

    first, second = run_all(Probe("raises", "x", raises), Probe("f", "x", fine))
    assert first.status is Status.ERROR
    assert "bug: TimeoutError: of its own" in first.message
    assert "test_doctor.py" in first.detail
    assert second.status is Status.OK


def test_checks_run_at_the_same_time() -> None:
    met: list[asyncio.Barrier] = []

    async def meets() -> list[Check]:
        if not met:
            met.append(asyncio.Barrier(3))
        await met[0].wait()
        return []

    assert run_all(*(Probe(str(n), "x", meets) for n in range(3))) == []


# --- store --------------------------------------------------------------------------------------------


@pytest.fixture
def database(offline: Cli) -> Path:
    offline.submit("one")
    return offline.folder / "state" / "ygg.db"


def test_no_database_is_in_order(offline: Cli) -> None:
    check = one(offline, "database")
    assert check["status"] == "ok"
    assert "first task" in check["message"]


def test_a_sound_database_is_in_order(offline: Cli, database: Path) -> None:
    mine = [c for c in found(offline) if c["category"] == "store"]
    assert {c["name"] for c in mine} == {"integrity", "schema", "log", "disk", "sqlite"}
    assert {c["status"] for c in mine} == {"ok"}


def test_a_damaged_database_is_an_error(offline: Cli, database: Path) -> None:
    raw = bytearray(database.read_bytes())
    raw[4096 * 3 :] = os.urandom(len(raw) - 4096 * 3)
    database.write_bytes(raw)
    check = one(offline, "integrity")
    assert check["status"] == "error"
    assert "backup" in check["fix"]


def test_a_foreign_file_is_an_error(offline: Cli, database: Path) -> None:
    database.write_bytes(b"no database at all" * 1000)
    assert one(offline, "integrity")["status"] == "error"
    database.unlink()
    db = apsw.Connection(str(database))
    db.execute("CREATE TABLE x (y)")
    db.close()
    assert "not one of ygg's" in one(offline, "database")["message"]


def test_a_newer_schema_is_an_error(offline: Cli, database: Path) -> None:
    db = apsw.Connection(str(database))
    db.execute("PRAGMA user_version = 999")
    db.close()
    check = one(offline, "schema")
    assert check["status"] == "error"
    assert "999" in check["message"]


def test_an_integrity_check_without_time_is_said_to_be_none(
    offline: Cli, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ygg.stores.sqlite import reading

    monkeypatch.setattr(checks_store, "CHECK_S", 0.0)
    monkeypatch.setattr(reading, "STEPS", 1)
    check = one(offline, "integrity")
    assert "not checked to the end" in check["message"]
    assert "ygg backup" in check["fix"]


def test_a_log_that_is_not_folded_is_a_warning(
    offline: Cli, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_store, "LOG_MAX", -1)
    assert one(offline, "log")["status"] == "warning"


@pytest.mark.parametrize(("limit", "status"), [("FREE_LOW", "warning"), ("FREE_LEAST", "error")])
def test_a_full_disk_is_found(
    offline: Cli, limit: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_store, limit, 10**18)
    assert one(offline, "disk")["status"] == status


@pytest.mark.parametrize(
    ("version", "status"), [("3.51.2", "error"), ("3.9.9", "error"), ("3.51.3", "ok")]
)
def test_an_old_sqlite_is_an_error(
    offline: Cli, version: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "sqlite_version", lambda: version)
    assert one(offline, "sqlite")["status"] == status


def test_looking_takes_no_lock_and_changes_nothing(offline: Cli, database: Path) -> None:
    before = database.read_bytes(), database.stat().st_mtime_ns
    found(offline)
    assert (database.read_bytes(), database.stat().st_mtime_ns) == before
    offline.submit("two")


# --- daemon and socket ----------------------------------------------------------------------------------


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
    monkeypatch.setattr(checks_socket, "__version__", "99.0")
    check = one(cli, "daemon")
    assert check["status"] == "warning"
    assert "restart" in check["fix"]


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
    check = checks_socket._socket(bound)
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
    assert "log out" in checks_socket._socket(bound).fix


def test_a_socket_for_everybody_is_a_warning(bound: Path) -> None:
    bound.chmod(0o666)
    check = checks_socket._socket(bound)
    assert check.status is Status.WARNING
    assert str(bound) in check.fix
    assert stat.S_IMODE(bound.stat().st_mode) == 0o666


# --- hosts ------------------------------------------------------------------------------------------------


def test_a_healthy_host_is_in_order(offline: Cli) -> None:
    with one_host(offline, ollama(M)):
        mine = [c for c in found(offline) if c["category"] == "hosts"]
    assert [c["name"] for c in mine] == ["a", "a model m"]
    assert "0.33.0" in mine[0]["message"]
    assert "general" in mine[1]["message"]


@pytest.mark.parametrize(
    ("wanted", "offered", "status"),
    [("m", "m:latest", "ok"), ("m:8b", "m:8b", "ok"), ("m:8b", "m:4b", "error")],
)
def test_a_model_of_a_route_must_be_there(
    offline: Cli, wanted: str, offered: str, status: str
) -> None:
    with one_host(offline, ollama((offered, "8B", 1)), models=f'["{wanted}"]') as port:
        check = one(offline, f"a model {wanted}")
    assert check["status"] == status
    if status == "error":
        assert check["fix"] == f"OLLAMA_HOST=127.0.0.1:{port} ollama pull m:8b"
        assert "m:4b" in check["detail"]


def test_a_model_that_no_route_wants_is_only_a_warning(offline: Cli) -> None:
    with one_host(offline, ollama(M), models="[m, other]"):
        assert one(offline, "a model other")["status"] == "warning"


def test_a_closed_port_and_an_unknown_name_are_told_apart(offline: Cli) -> None:
    port = free_port()
    config(
        offline,
        f'a: {{slots: 1, backend: ollama, url: "http://127.0.0.1:{port}", models: [m]}}',
        'b: {slots: 1, backend: ollama, url: "http://nowhere.invalid:1", models: [m]}',
    )
    assert "nobody listens" in one(offline, "a")["message"]
    assert "no machine called nowhere.invalid" in one(offline, "b")["message"]


def test_a_server_that_never_answers_is_an_error(
    offline: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_hosts, "PHASE_S", 0.5)
    with silent() as port:
        config(
            offline,
            f'a: {{slots: 1, backend: ollama, url: "http://127.0.0.1:{port}", models: [m]}}',
        )
        check = one(offline, "a")
    assert check["status"] == "error"
    assert "no answer within" in check["message"]


def test_another_kind_of_server_is_recognised(offline: Cli) -> None:
    with one_host(offline, vllm("m")):
        check = one(offline, "a")
    assert check["status"] == "error"
    assert "no Ollama server" in check["message"]


def test_a_refused_and_a_missing_key_are_errors(offline: Cli, tmp_path: Path) -> None:
    with sim_servers(tmp_path, 0.0, {"a": 1}, dialect="vllm", api_key="right") as urls:
        for key in ("wrong", None):
            if key is not None:
                (tmp_path / "key").write_text(key)
            else:
                (tmp_path / "key").unlink()
            config(
                offline, f"a: {{slots: 1, backend: openai, url: {urls['a']}, api_key_file: key}}"
            )
            check = one(offline, "a")
            assert check["status"] == "error"
            assert "key" in check["fix"]


def test_more_slots_than_the_server_has_are_a_warning(offline: Cli) -> None:
    pages = llama_cpp("/models/m.gguf", slots=2)
    with one_host(offline, pages, server="llama.cpp", backend="openai", slots=4):
        check = one(offline, "a slots")
        assert check["status"] == "warning"
        assert "-np 4" in check["fix"]
        assert one(offline, "a model m")["status"] == "ok", "directory and ending do not matter"
    with one_host(offline, pages, server="llama.cpp", backend="openai", slots=2):
        assert one(offline, "a slots")["status"] == "ok"


def test_a_small_context_is_a_warning(offline: Cli) -> None:
    for context, status in ((512, "warning"), (8192, "ok")):
        pages = llama_cpp("m", context=context)
        with one_host(offline, pages, server="llama.cpp", backend="openai"):
            assert one(offline, "a context")["status"] == status


def test_the_parallelism_of_ollama_is_a_hint_and_no_problem(offline: Cli) -> None:
    with one_host(offline, ollama(M), slots=2):
        check = one(offline, "a slots")
        assert check["status"] == "ok"
        assert "OLLAMA_NUM_PARALLEL=2" in check["fix"]
        ran = offline("doctor", tty=True)
    assert "OLLAMA_NUM_PARALLEL" in ran.err
    assert "OLLAMA_NUM_PARALLEL" not in ran.out


def test_all_hosts_are_asked_at_once(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_hosts, "PHASE_S", 0.6)
    with ExitStack() as stack:
        ports = [stack.enter_context(silent()) for _ in range(20)]
        lines = [
            f'h{n}: {{slots: 1, backend: ollama, url: "http://127.0.0.1:{p}", models: [m]}}'
            for n, p in enumerate(ports)
        ]
        config(offline, *lines, route="[h0]")
        begun = time.monotonic()
        mine = [c for c in found(offline) if c["category"] == "hosts"]
        took = time.monotonic() - begun
    assert len(mine) == 20
    assert took < 6, "twenty times 0.6 s one after the other"


@pytest.mark.llama
@pytest.mark.xdist_group("llama")
@pytest.mark.skipif(MISSING, reason="the xllamacpp wheel is not installed")
def test_a_real_llama_cpp_is_understood(offline: Cli, tmp_path: Path) -> None:
    with running_llama(write_model(tmp_path / "tiny.gguf")) as server:
        config(offline, f"a: {{slots: 3, backend: openai, url: {server.url}, models: [tiny]}}")
        told = {c["name"]: c for c in found(offline)}
    assert told["a"]["status"] == told["a model tiny"]["status"] == "ok"
    assert "2 at once" in told["a slots"]["message"]
    assert told["a slots"]["status"] == "warning"
    assert "2,048" in told["a context"]["message"]


# --- the machine ----------------------------------------------------------------------------------------


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
    monkeypatch.setattr(checks_machine.time, "time", lambda: 1000.0)
    assert next(c.status for c in checks_machine.clock(Path("/nowhere/ygg.db"))) is Status.ERROR


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
    monkeypatch.setattr(checks_machine, "RUN", run)
    assert one(offline, "ntp")["status"] == status


@pytest.fixture
def systemd(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with systemd, without ygg's unit; systemctl says what `says` holds."""
    run, units, bin_ = (offline.folder / n for n in ("systemd", "units", "bin"))
    for folder in (run / "system", units, bin_):
        folder.mkdir(parents=True)
    monkeypatch.setattr(checks_machine, "RUN", run)
    monkeypatch.setattr(checks_machine, "UNIT_FOLDERS", (str(units),))
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
    monkeypatch.setattr(checks_machine, "SYSTEMCTL_S", 0.2)
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
