"""The unit files: what systemd itself says of them, and the promises the daemon relies on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ygg.errors import ConfigError
from ygg.ops.service.installing import UNITS, running_program, socket_text, unit_text

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("ygg.service", "ygg-user.service", "ygg.socket", "ygg-user.socket", "ygg.sysusers")
analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (make tools)"
)


def ask(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"XDG_RUNTIME_DIR": str(folder)}
    command = ["systemd-analyze", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)


def seconds(unit: str, key: str) -> float:
    (text,) = re.findall(rf"(?m)^{key}=(\d+)s$", unit)
    return float(text)


@pytest.mark.parametrize("name", NAMES)
def test_the_files_for_copying_are_those_of_the_package(name: str) -> None:
    folder = ROOT / "systemd"
    if not folder.exists():
        pytest.skip("not a checkout")
    assert (folder / name).read_bytes() == (UNITS / name).read_bytes()


@analyze
@pytest.mark.parametrize("user", [False, True])
def test_systemd_finds_nothing_to_complain_about(tmp_path: Path, user: bool) -> None:
    path = tmp_path / "ygg.service"
    path.write_text(unit_text(running_program().command, user=user))
    socket = tmp_path / "ygg.socket"
    socket.write_text(socket_text(user=user))
    done = ask(tmp_path, *(["--user"] if user else []), "verify", str(path), str(socket))
    assert (done.returncode, done.stderr) == (0, "")


@analyze
def test_the_system_unit_is_hardened(tmp_path: Path) -> None:
    path = tmp_path / "ygg.service"
    path.write_text(unit_text(running_program().command))
    done = ask(tmp_path, "security", "--offline=true", "--threshold=20", str(path))
    assert done.returncode == 0, done.stdout


@analyze
def test_a_unit_with_a_mistake_is_noticed(tmp_path: Path) -> None:
    """The two checks above can fail."""
    path = tmp_path / "ygg.service"
    path.write_text(unit_text(running_program().command).replace("KillMode=mixed", "Kill=mixed"))
    assert ask(tmp_path, "verify", str(path)).stderr
    path.write_text("[Service]\nUser=ygg\nExecStart=/bin/true\n")
    done = ask(tmp_path, "security", "--offline=true", "--threshold=20", str(path))
    assert done.returncode != 0


@pytest.mark.parametrize("user", [False, True])
def test_the_unit_fits_what_the_daemon_does(user: bool) -> None:
    from ygg.model import Policy

    unit = unit_text(("/usr/local/bin/ygg",), user=user)
    assert seconds(unit, "TimeoutStopSec") > Policy().drain_s
    assert f"RestartPreventExitStatus={ConfigError.exit_code}" in unit
    assert {"Type=notify", "NotifyAccess=main", "KillMode=mixed"} <= set(unit.splitlines())
    assert "Environment=YGG_INTERRUPTED=requeue" in unit
    assert {"Requires=ygg.socket", "RestartSec=500ms", "Also=ygg.socket"} <= set(unit.splitlines())
    assert "RuntimeDirectory" not in unit  # systemd would take the socket away with it
    assert "RestartSteps" not in unit


def test_a_systemd_that_can_waits_longer_after_each_crash() -> None:
    assert "RestartSteps=8\nRestartMaxDelaySec=30s\n" in unit_text(("/ygg",), systemd=254)
    assert "RestartSteps" not in unit_text(("/ygg",), systemd=253)


def test_members_of_the_group_reach_the_socket_and_nobody_the_state() -> None:
    unit = unit_text(("/usr/local/bin/ygg",)).splitlines()
    assert {"User=ygg", "Group=ygg", "StateDirectoryMode=0700"} <= set(unit)
    socket = set(socket_text().splitlines())
    assert {"SocketGroup=ygg", "SocketMode=0660", "DirectoryMode=0755"} <= socket
    assert "DeviceAllow=char-nvidia* rw" in unit
    assert "DynamicUser=yes" not in unit
