"""`ygg doctor` as a command: what it says, in which form, and how it exits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ops.doctor.house import M, config, found, one, one_host
from tests.ops.fakes import ollama
from tests.surface.cli import Cli
from tests.system.rig import sim_servers


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
    offline.config.write_text(f"{offline.config.read_text()}\napi: {{token_file: tokens}}\n")
    found = [c for c in offline("doctor", "--json").json["checks"] if c["category"] == "config"]
    assert [c["status"] for c in found] == ["ok", "warning"]
    assert "api.token_file: expected no such setting" in found[1]["message"]
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
