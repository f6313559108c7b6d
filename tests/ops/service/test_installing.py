"""`ygg service`: what it writes, refuses, keeps and tells."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

from tests.surface.cli import Cli
from ygg import config
from ygg.errors import InvalidInput, YggError
from ygg.ops.service import installing, steps
from ygg.ops.service.installing import (
    Program,
    Target,
    example_config,
    install,
    uninstall,
    unit_text,
)

LOCAL = Program(("/usr/local/bin/ygg",), (Path("/usr/local/bin/ygg"),))
real_systemd = pytest.mark.skipif(
    not (shutil.which("systemctl") and shutil.which("systemd-sysusers")),
    reason="needs systemctl and systemd-sysusers (make tools)",
)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """systemctl and systemd-sysusers that only write down how they were called."""
    log, folder = tmp_path / "ran", tmp_path / "tools"
    folder.mkdir()
    log.touch()
    for name in ("systemctl", "systemd-sysusers"):
        script = folder / name
        script.write_text(f'#!/bin/sh\necho "{name} $*" >> {log}\nexit ${{FAILS:-0}}\n')
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return log


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def calls(ran: Path) -> list[str]:
    return ran.read_text().splitlines()


def image(tmp_path: Path) -> Target:
    return Target(root=tmp_path / "image")


def test_an_image_gets_user_unit_and_example(tmp_path: Path, ran: Path, said: list[str]) -> None:
    target = image(tmp_path)
    install(target, said.append, by=LOCAL)
    root = f"--root={target.root}"
    assert calls(ran) == [
        f"systemd-sysusers {root} ygg.conf", f"systemctl {root} enable ygg.socket ygg.service",
    ]  # fmt: skip
    assert target.unit.read_text() == unit_text(LOCAL.command)
    assert target.unit.stat().st_mode & 0o777 == 0o644
    assert "u ygg " in target.sysusers.read_text()
    assert config.load(target.config).hosts
    assert any("usermod -aG ygg USER" in line for line in said)


def test_twice_changes_nothing_and_a_config_is_never_replaced(
    tmp_path: Path, ran: Path, said: list[str]
) -> None:
    target = image(tmp_path)
    install(target, said.append, by=LOCAL)
    target.config.write_text("mine")
    before = {p: p.stat().st_mtime_ns for p in target.root.rglob("*") if p.is_file()}
    said.clear()
    install(target, said.append, by=LOCAL)
    assert {p: p.stat().st_mtime_ns for p in target.root.rglob("*") if p.is_file()} == before
    assert not any(line.startswith("write") for line in said)
    moved = Program(("/opt/ygg",), LOCAL.places)
    install(target, said.append, by=moved)
    assert "ExecStart=/opt/ygg loop" in target.unit.read_text()
    assert target.config.read_text() == "mine"


def test_a_user_s_service_is_written_enabled_and_removed(
    person: Path, ran: Path, said: list[str]
) -> None:
    unit = person / "systemd/user/ygg.service"
    install(Target(user=True), said.append)
    assert calls(ran) == [
        "systemctl --version", "systemctl --user daemon-reload",
        "systemctl --user enable ygg.socket ygg.service", "systemctl --user start ygg.service",
    ]  # fmt: skip
    assert "User=" not in unit.read_text()
    assert any("loginctl enable-linger" in line for line in said)
    ran.write_text("")
    uninstall(Target(user=True), said.append)
    assert calls(ran) == [
        "systemctl --user disable --now ygg.socket ygg.service", "systemctl --user daemon-reload",
    ]  # fmt: skip
    assert not unit.exists()
    assert (person / "ygg/hosts.yaml").exists()
    assert said[-1].startswith("kept: ")
    uninstall(Target(user=True), said.append)
    assert "nothing to do" in said[-1]


def test_a_changed_unit_of_a_running_service_asks_for_a_restart(
    person: Path, ran: Path, said: list[str]
) -> None:
    install(Target(user=True), said.append)
    assert not any("restart" in line for line in said)
    (person / "systemd/user/ygg.service").write_text("old")
    install(Target(user=True), said.append)
    assert any("systemctl --user restart ygg" in line for line in said)


def test_uninstalling_keeps_the_tasks_and_says_so(
    tmp_path: Path, ran: Path, said: list[str]
) -> None:
    target = image(tmp_path)
    install(target, said.append, by=LOCAL)
    database = target.root / "var/lib/ygg/ygg.db"
    database.parent.mkdir(parents=True)
    database.write_text("tasks")
    uninstall(target, said.append)
    assert database.read_text() == "tasks"
    assert target.config.exists()
    assert not target.unit.exists()
    assert not target.sysusers.exists()
    assert str(database.parent) in said[-1]


def test_a_dry_run_tells_all_steps_and_does_none(
    tmp_path: Path, ran: Path, said: list[str]
) -> None:
    target = image(tmp_path)
    install(target, said.append, by=LOCAL, dry_run=True)
    words = [line.split()[0] for line in said[:6]]
    assert words == ["write", "run", "write", "write", "write", "run"]
    assert not target.root.exists()
    assert calls(ran) == []
    install(target, said.append, by=LOCAL)
    uninstall(target, said.append, dry_run=True)
    assert target.unit.exists()


@pytest.mark.parametrize(
    "home", ["/home/anna/.local/bin/ygg", "/root/.local/share/uv/python3", "/tmp/ygg"]
)
def test_a_ygg_in_a_home_is_refused_with_the_way_out(
    tmp_path: Path, ran: Path, said: list[str], home: str
) -> None:
    program = Program(("/usr/local/bin/ygg",), (Path("/usr/bin/python3"), Path(home)))
    with pytest.raises(YggError, match=home) as caught:
        install(image(tmp_path), said.append, by=program)
    assert "UV_TOOL_DIR=/opt/uv" in caught.value.hint
    assert "pipx install --global" in caught.value.hint
    assert "--user" in caught.value.hint
    assert calls(ran) == said == []


def test_a_link_into_a_home_is_refused_too(
    tmp_path: Path, ran: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing, "HIDDEN", (tmp_path / "home",))
    (tmp_path / "home").mkdir()
    (tmp_path / "home/ygg").touch()
    (tmp_path / "ygg").symlink_to(tmp_path / "home/ygg")
    program = Program((str(tmp_path / "ygg"),), (tmp_path / "ygg",))
    with pytest.raises(YggError, match="hidden from the service"):
        install(image(tmp_path), said.append, by=program)


def test_the_system_service_needs_root(
    ran: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(YggError, match="needs root") as caught:
        install(Target(), said.append, by=LOCAL)
    assert caught.value.hint.startswith("sudo ")
    assert said == []


def test_sudo_is_no_way_to_a_user_s_service(
    person: Path, ran: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "anna")
    with pytest.raises(YggError, match="by that user"):
        install(Target(user=True), said.append)
    assert not person.exists()


def test_a_machine_without_systemd_is_told_so(
    person: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(YggError, match="systemctl is not on this machine"):
        install(Target(user=True), said.append)
    assert not person.exists()


def test_a_failing_step_says_which_and_why(
    person: Path, ran: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS", "5")
    with pytest.raises(YggError, match="--user daemon-reload failed: it ended with 5") as caught:
        install(Target(user=True), said.append)
    assert "log in as this user" in caught.value.hint


def test_a_place_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(YggError, match="cannot be written"):
        steps.Write(tmp_path / "file/unit", "text").do()
    with pytest.raises(YggError, match="cannot be run"):
        steps.Run(("/nowhere/tool",)).do()


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("/opt/my tools/ygg", 'ExecStart="/opt/my tools/ygg" loop'),
        ("/opt/100%/ygg", "ExecStart=/opt/100%%/ygg loop"),
    ],
)
def test_paths_are_quoted_for_systemd(word: str, line: str) -> None:
    assert f"\n{line} " in unit_text((word,))


@pytest.mark.parametrize("word", ['/a"b/ygg', "/a\nExecStart=/bin/sh", "/a\\b", "/a$b"])
def test_paths_that_systemd_cannot_start_are_refused(word: str) -> None:
    with pytest.raises(InvalidInput):
        unit_text((word,))


def test_the_installed_example_leaves_interrupted_to_the_service(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text(example_config())
    assert config.load(path).policy.interrupted == "block"
    assert config.load(path, {"YGG_INTERRUPTED": "requeue"}).policy.interrupted == "requeue"


def test_what_the_file_says_of_interrupted_wins(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text(example_config().replace("# interrupted: block", "interrupted: block"))
    env = {"YGG_INTERRUPTED": "requeue"}
    assert config.load(path, env).policy.interrupted == "block"
    path.write_text(example_config().replace("# interrupted: block", "interrupted:"))
    assert config.load(path, env).policy.interrupted == "requeue"
    with pytest.raises(YggError, match="expected block or requeue") as caught:
        config.load(path, {"YGG_INTERRUPTED": "later"})
    assert caught.value.exit_code == 78


def test_the_command_prints_the_unit_of_the_running_ygg(offline: Cli, tmp_path: Path) -> None:
    for args in ((), ("--user",)):
        text = offline("service", "print", *args).out
        (start,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
        assert Path(start.removeprefix("ExecStart=").split()[0]).is_file()
        assert start.endswith(" loop --no-view")


def test_the_running_program_names_all_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/nowhere/ygg", "service"])
    program = installing.running_program()
    assert program.command == (sys.executable, "-m", "ygg")
    assert {Path(sys.executable), Path(sys.base_prefix)} <= set(program.places)


@real_systemd
def test_systemd_s_own_tools_take_the_image(tmp_path: Path, said: list[str]) -> None:
    target = image(tmp_path)
    for _ in range(2):
        install(target, said.append, by=LOCAL)
    wanted = target.root / "etc/systemd/system/multi-user.target.wants/ygg.service"
    assert stat.S_ISLNK(wanted.lstat().st_mode)
    assert "ygg:x:" in (target.root / "etc/passwd").read_text()
    assert "ygg:x:" in (target.root / "etc/group").read_text()
    uninstall(target, said.append)
    assert not wanted.is_symlink()
