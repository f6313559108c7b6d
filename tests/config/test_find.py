"""Which hosts.yaml is in force, and what is said when none can be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unprivileged import unprivileged
from ygg import config
from ygg.errors import ConfigError


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("# empty\n")
    return path


def test_places_are_tried_in_order(tmp_path: Path) -> None:
    cwd, home = tmp_path / "cwd", tmp_path / "home"
    env = {"HOME": str(home)}
    assert config.find_config(None, env, cwd) in (None, Path("/etc/ygg/hosts.yaml"))
    user = write(home / ".config/ygg/hosts.yaml")
    assert config.find_config(None, env, cwd) == user
    xdg = write(tmp_path / "xdg/ygg/hosts.yaml")
    assert config.find_config(None, env | {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}, cwd) == xdg
    here = write(cwd / "hosts.yaml")
    assert config.find_config(None, env, cwd) == here
    named = env | {"YGG_CONFIG": "/named.yaml"}
    assert config.find_config(None, named, cwd) == Path("/named.yaml")
    assert config.find_config("other.yaml", named, cwd) == cwd / "other.yaml"
    assert config.find_config("~/x.yaml", named, cwd) == home / "x.yaml"


def test_without_any_file_the_places_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ygg.paths.SYSTEM_CONFIG", tmp_path / "etc/hosts.yaml")
    with pytest.raises(ConfigError) as caught:
        config.load_found(None, {"HOME": str(tmp_path)}, tmp_path)
    assert caught.value.message.splitlines() == [
        "no hosts.yaml found, looked at",
        f"  {tmp_path}/hosts.yaml",
        f"  {tmp_path}/.config/ygg/hosts.yaml",
        f"  {tmp_path}/etc/hosts.yaml",
    ]


def test_a_named_file_that_is_missing_is_an_error_and_no_other_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "hosts.yaml")
    with pytest.raises(ConfigError) as caught:
        config.load_found("gone.yaml", {}, tmp_path)
    assert (
        caught.value.message == f"{tmp_path}/gone.yaml: cannot be read: No such file or directory"
    )


def test_a_dangling_link_is_reported_instead_of_passed_over(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"hosts\.yaml: cannot be read: No such file"):
        config.load_found(None, {}, tmp_path)


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: it is a directory"):
        config.load(tmp_path)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="cannot be read: it is a pipe, no regular file"):
        config.load(tmp_path / "pipe")


def test_an_unreadable_file_is_an_error_that_names_it() -> None:
    with unprivileged() as folder:
        path = write(folder / "hosts.yaml")
        path.chmod(0)
        with pytest.raises(ConfigError) as caught:
            config.load_found(None, {}, folder)
    assert caught.value.message == f"{path}: cannot be read: Permission denied"


def test_a_name_with_a_nul_byte_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load_found("a\0b", {}, tmp_path)
