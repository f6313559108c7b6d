"""ygg hosts trust, ygg hosts probe, what doctor says of readings, and what init proposes."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.ops.fakes import answering, free_port, ollama
from tests.probes import captures, machines
from tests.probes.machines import Home, Machine, Server
from tests.probes.stub import Stub
from tests.surface.cli import Cli
from ygg.cli import asking
from ygg.ops.doctor import daemon, readings
from ygg.ops.first import proposal
from ygg.ops.first.discovery import Machine as Found
from ygg.ops.first.discovery import Model, Place
from ygg.ops.first.discovery import Server as ModelServer
from ygg.probes import here


@pytest.fixture(autouse=True)
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "has_driver", lambda: False)


@pytest.fixture
def port() -> Iterator[int]:
    with answering(ollama(("m", "8B", 1))) as found:
        yield found


def configure(cli: Cli, port: int, telemetry: dict[str, Any], **more: Any) -> None:
    url = f"http://127.0.0.1:{port}"
    host = {"slots": 1, "backend": "ollama", "url": url, "models": ["m"]}
    tree = {
        "hosts": {"surtr": host | {"telemetry": telemetry} | more},
        "task_types": {"general": {"route": ["surtr"]}},
    }
    cli.config.write_text(json.dumps(tree))


@pytest.fixture
def cli(offline: Cli, port: int, threaded: Server) -> Cli:
    """hosts.yaml names one host, read over SSH."""
    configure(offline, port, {"source": "ssh", "ssh": threaded.target})
    return offline


def own(cli: Cli) -> Path:
    return cli.state / "known_hosts"


def line(server: Server, key: str = "") -> str:
    kind, data, *_ = (key or server.public).split()
    return f"[127.0.0.1]:{server.port} {kind} {data}\n"


# --- trust ------------------------------------------------------------------------------------------------


def test_a_person_says_that_the_key_is_right(
    cli: Cli, threaded: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "person", lambda: True)
    ran = cli.ok("hosts", "trust", "surtr", stdin="y\n")
    assert threaded.fingerprint in ran.err
    assert "ssh_host_ed25519_key.pub" in ran.err
    assert f"{threaded.fingerprint} trusted" in ran.out
    assert own(cli).read_text() == line(threaded)
    assert stat.S_IMODE(own(cli).stat().st_mode) == 0o600
    cli.ok("hosts", "probe", "surtr")


@pytest.mark.parametrize("says", ["n\n", "", "\n"])
def test_anything_else_trusts_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    monkeypatch.setattr(asking, "person", lambda: True)
    ran = cli("hosts", "trust", "surtr", stdin=says)
    assert ran.code == 1
    assert "nothing was trusted" in ran.err
    assert not own(cli).exists()


def test_a_pipe_is_nobody_and_is_told_how_to_go_on(cli: Cli, threaded: Server) -> None:
    ran = cli("hosts", "trust", "surtr", stdin="y\n")
    assert ran.code == 2
    assert f"--fingerprint {threaded.fingerprint}" in ran.err
    assert not own(cli).exists()


def test_a_pipe_answers_no_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert not asking.ask("Really?")


def test_yes_and_the_right_fingerprint_need_nobody(cli: Cli, threaded: Server) -> None:
    cli.ok("hosts", "trust", "surtr", "--yes", stdin="")
    assert "already" in cli.ok("hosts", "trust", "surtr", stdin="").out
    assert own(cli).read_text() == line(threaded)
    own(cli).unlink()
    cli.ok("hosts", "trust", "surtr", "--fingerprint", f"{threaded.fingerprint}=", stdin="")
    assert own(cli).read_text() == line(threaded)


@pytest.mark.parametrize("more", [[], ["--yes"]])
def test_another_fingerprint_than_the_given_one_is_refused(
    cli: Cli, threaded: Server, more: list[str]
) -> None:
    wrong = "SHA256:" + "A" * 43
    ran = cli("hosts", "trust", "surtr", "--fingerprint", wrong, *more, stdin="")
    assert ran.code == 1
    assert threaded.fingerprint in ran.err
    assert not own(cli).exists()


def test_other_keys_in_the_file_stay(cli: Cli, threaded: Server) -> None:
    own(cli).parent.mkdir(parents=True, exist_ok=True)
    own(cli).write_text("other ssh-ed25519 AAAA")
    cli.ok("hosts", "trust", "surtr", "--yes", stdin="")
    assert own(cli).read_text() == f"other ssh-ed25519 AAAA\n{line(threaded)}"
    assert [p.name for p in own(cli).parent.iterdir() if "part" in p.name] == []


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
@pytest.mark.parametrize("more", [["--yes"], [], "fingerprint"])
def test_a_changed_key_is_refused_loudly_whatever_is_said(
    cli: Cli, threaded: Server, home: Home, more: list[str] | str, kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(asking, "person", lambda: True)
    old = asyncssh.generate_private_key(kind)
    known = home.ssh / "known_hosts"
    known.write_text(line(threaded, old.export_public_key().decode()))
    more = ["--fingerprint", threaded.fingerprint] if isinstance(more, str) else more
    ran = cli("hosts", "trust", "surtr", *more, stdin="y\n")
    assert ran.code == 1
    assert "HAS CHANGED" in ran.err
    assert old.get_fingerprint() in ran.err
    assert threaded.fingerprint in ran.err
    assert f"ssh-keygen -R '[127.0.0.1]:{threaded.port}' -f {known}" in ran.err
    assert not own(cli).exists()


def test_a_revoked_key_is_refused(cli: Cli, threaded: Server, home: Home) -> None:
    (home.ssh / "known_hosts").write_text(f"@revoked {line(threaded)}")
    ran = cli("hosts", "trust", "surtr", "--yes", stdin="")
    assert ran.code == 1
    assert "revoked" in ran.err


def test_a_key_of_a_known_kind_is_asked_for(
    offline: Cli, port: int, home: Home, machine: Machine
) -> None:
    """A machine with several keys is no changed machine because it prefers another one."""
    kinds = ("ecdsa-sha2-nistp256", "ssh-ed25519")
    with machines.in_a_thread(machine, home.public, keys=kinds) as server:
        home.trust(server, home.ssh / "known_hosts")
        configure(offline, port, {"source": "ssh", "ssh": server.target})
        ran = offline.ok("hosts", "trust", "surtr", stdin="")
        assert server.fingerprint in ran.out
        assert "known from" in ran.err
        assert own(offline).read_text() == line(server), "the service sees only its own file"


def test_the_running_daemons_file_is_written(
    cli: Cli, threaded: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = cli.folder / "elsewhere"
    told = {"store": str(elsewhere / "ygg.db")}
    monkeypatch.setattr(daemon, "ask", lambda *_: told)
    cli.ok("hosts", "trust", "surtr", "--yes", stdin="")
    assert (elsewhere / "known_hosts").read_text() == line(threaded)


def test_a_folder_of_somebody_else_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    own(cli).parent.mkdir(parents=True, exist_ok=True)

    def denied(*_: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    ran = cli("hosts", "trust", "surtr", "--yes", stdin="")
    assert ran.code == 1
    assert "sudo" in ran.err


def test_hosts_that_cannot_be_trusted_say_why(offline: Cli, port: int) -> None:
    assert offline("hosts", "trust", "nobody", stdin="").code == 3
    configure(offline, port, {})
    ran = offline("hosts", "trust", "surtr", stdin="")
    assert (ran.code, "telemetry.ssh" in ran.err) == (2, True)
    target = f"127.0.0.1:{free_port()}"
    configure(offline, port, {"source": "ssh", "ssh": target})
    ran = offline("hosts", "trust", "surtr", stdin="")
    assert (ran.code, "connection refused" in ran.err) == (1, True)


# --- probe --------------------------------------------------------------------------------------------------


@pytest.fixture
def trusted(cli: Cli) -> Cli:
    cli.ok("hosts", "trust", "surtr", "--yes", stdin="")
    return cli


def test_a_reading_is_shown_for_each_gpu(trusted: Cli, machine: Machine) -> None:
    machine.cards(captures.RTX_4080_SUPER, captures.H200)
    machine.tell(processes="41, /usr/bin/ollama, 6144\n")
    ran = trusted.ok("hosts", "probe", "surtr")
    header, first, second = ran.lines[-3:]
    assert header.split()[:4] == ["GPU", "NAME", "MEMORY", "FREE"]
    assert "16,376 MiB" in first
    assert "90 °C" in first
    assert "59 °C away" in second
    assert "read by ssh in" in ran.err
    assert "/usr/bin/ollama (41) holds 6,144 MiB" in ran.err


def test_a_reading_as_json(trusted: Cli) -> None:
    body = trusted.ok("hosts", "probe", "surtr", "--json").json
    assert body["schema"] == "ygg.hosts/1"
    ssh, ps = body["readings"]
    assert (ssh["source"], ssh["fault"], ssh["processes"]) == ("ssh", None, [])
    (device,) = ssh["devices"]
    assert (device["total_mb"], device["max_c"], device["slowed"]) == (16376, 90, False)
    assert ps["loaded"] == {"ollama": []}
    assert "readings" not in trusted("hosts", "probe", "--json").json


def test_what_is_in_the_way_is_shown_with_its_hint(cli: Cli) -> None:
    ran = cli("hosts", "probe", "surtr")
    assert ran.code == 1
    assert "is not trusted" in ran.err
    assert "hint: ygg hosts trust surtr" in ran.err
    (ssh, _) = cli("hosts", "probe", "surtr", "--json").json["readings"]
    assert ssh["hint"] == "ygg hosts trust surtr"


def test_a_reading_that_cannot_be_true_is_told(trusted: Cli, machine: Machine) -> None:
    machine.cards(captures.RTX_4080_SUPER | {"memory.free": "99999"})
    ran = trusted("hosts", "probe", "surtr")
    assert ran.code == 1
    assert "cannot be true" in ran.err


def test_text_of_the_machine_cannot_act_on_the_terminal(trusted: Cli, machine: Machine) -> None:
    machine.cards(captures.RTX_4080_SUPER | {"name": "\x1b]0;gotcha\x07card"})
    machine.tell(processes="1, \x1b[2Jollama, 5\n")
    ran = trusted.ok("hosts", "probe", "surtr")
    assert "\x1b" not in ran.out + ran.err


def test_this_machines_driver_is_found_and_read(
    offline: Cli, port: int, nvml_library: Path, tmp_path: Path
) -> None:
    """As a user does: the library is found by the loader, `auto` takes it."""
    configure(offline, port, {})
    (tmp_path / "stub").write_text("count=2\n")
    env = os.environ | {
        "LD_LIBRARY_PATH": str(nvml_library.parent),
        "YGG_STUB": str(tmp_path / "stub"),
    }
    command = [sys.executable, "-m", "ygg", "hosts", "probe", "surtr", "--json"]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)
    first, second = json.loads(ran.stdout)["readings"]
    assert (first["source"], [d["uuid"] for d in first["devices"]]) == (
        "nvml",
        ["GPU-stub-0", "GPU-stub-1"],
    )
    assert second["source"] == "ollama_ps"


# --- doctor -------------------------------------------------------------------------------------------------


def findings(cli: Cli) -> list[dict[str, Any]]:
    every = cli("doctor", "--json", stdin="").json["checks"]
    return [c for c in every if c["category"] == "telemetry"]


def test_doctor_takes_a_reading(trusted: Cli, machine: Machine) -> None:
    (check,) = findings(trusted)
    assert check["name"] == "surtr readings"
    assert check["status"] == "ok"
    assert "ssh: NVIDIA GeForce RTX 4080 SUPER" in check["message"]


def test_doctor_says_what_is_in_the_way(cli: Cli) -> None:
    (check,) = findings(cli)
    assert check["status"] == "error"
    assert check["fix"] == "ygg hosts trust surtr"


def test_doctor_names_what_the_rules_need_and_no_card_tells(
    trusted: Cli, machine: Machine, port: int, threaded: Server
) -> None:
    blind = captures.RTX_4080_SUPER | {"temperature.gpu": "[N/A]", "memory.free": "[N/A]"}
    machine.cards(blind, limits="")
    configure(trusted, port, {"source": "ssh", "ssh": threaded.target}, heat="card")
    told, *warnings = findings(trusted)
    assert told["status"] == "ok"
    assert [w["status"] for w in warnings] == ["warning"] * 3
    for word, warning in zip(("temperature", "free memory", "88 °C"), warnings, strict=True):
        assert word in warning["message"]


def test_doctor_refuses_a_reading_that_cannot_be_true(trusted: Cli, machine: Machine) -> None:
    machine.cards(captures.RTX_4080_SUPER | {"temperature.gpu": "200"})
    (check,) = findings(trusted)
    assert (check["status"], "200 °C" in check["message"]) == ("error", True)


def test_doctor_and_probe_name_a_lost_card_and_read_the_others(
    trusted: Cli, machine: Machine
) -> None:
    machine.cards(captures.RTX_4080_SUPER, captures.RTX_2080_SUPER)
    machine.told["cards"][1] |= {
        "temperature.gpu": "[GPU is lost]",
        "memory.total": "[GPU is lost]",
    }
    machine.tell()
    told, lost = findings(trusted)
    assert (told["status"], lost["status"]) == ("ok", "error")
    assert "4080" in told["message"]
    assert "2080" not in told["message"]
    assert lost["message"] == "GPU 1 is lost: GPU is lost"
    ran = trusted("hosts", "probe", "surtr")
    assert ran.code == 1
    assert "GPU 1 is lost: GPU is lost" in ran.err


def test_doctor_is_content_without_readings_and_silent_where_they_are_off(
    offline: Cli, port: int
) -> None:
    configure(offline, port, {})
    (check,) = findings(offline)
    assert check["status"] == "ok"
    assert "telemetry.ssh" in check["fix"]
    configure(offline, port, {"source": "off"})
    assert findings(offline) == []


def test_doctor_finds_another_package_of_the_bindings_name(
    offline: Cli, port: int, nvml: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(offline, port, {"source": "nvml"})
    first, binding = findings(offline)
    assert "NVIDIA Stub" in first["message"]
    assert (binding["name"], binding["status"]) == ("pynvml", "ok")
    package = tmp_path / "shadow" / "pynvml"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "pynvml")
    monkeypatch.syspath_prepend(package.parent)
    (check,) = checks_telemetry_of_the_binding()
    assert check.status == "error"
    assert "pip uninstall pynvml" in check.fix


def checks_telemetry_of_the_binding() -> list[Any]:
    from ygg.ops.threads import run_without_waiting

    return run_without_waiting(readings.binding())


# --- init ---------------------------------------------------------------------------------------------------


def found(address: str) -> Found:
    server = ModelServer(Place(address, 11434, named=False), "ollama", "1", (Model("m", 1, 8.0),))
    return Found(address, "box", (server,))


@pytest.mark.parametrize(
    ("address", "limits", "proposed"),
    [("127.0.0.1", True, True), ("127.0.0.1", False, False), ("192.168.1.2", True, False)],
)
def test_a_card_that_tells_its_limit_is_judged_by_it(
    address: str, limits: bool, proposed: bool
) -> None:
    text = proposal.render([found(address)], card_limits=limits)
    assert ("heat: card" in text) is proposed


def test_init_asks_this_machines_card(
    offline: Cli, port: int, nvml: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ygg.ops.first import discovery, networks

    monkeypatch.setattr(networks, "local", list)
    monkeypatch.setattr(discovery, "PORTS", (port,))
    assert "heat: card" in offline.ok("init", "--print", stdin="").out
    nvml.tell(max=0, nvmlDeviceGetMarginTemperature=3)
    assert "heat: card" not in offline.ok("init", "--print", stdin="").out
