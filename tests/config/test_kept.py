"""The last good configuration: kept when it is in force, used by a service alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ygg import config
from ygg.config.kept import NAME, keep, to_start_on
from ygg.errors import ConfigError

GOOD = """\
# a comment
hosts:
  surtr: {slots: 1, backend: ollama, url: "http://127.0.0.1:9", models: [m]}
task_types:
  general: {route: [surtr]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.yaml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def test_a_service_starts_on_what_was_good_last(file: Path, state: Path) -> None:
    good = config.load(file)
    keep(good, state, {})
    assert (state / NAME).stat().st_mode & 0o777 == 0o600
    file.write_text(GOOD + "hots: {}\n")
    found, broken = to_start_on(str(file), state, {}, service=True)
    assert (found.fingerprint, found.source) == (good.fingerprint, state / NAME)
    assert broken is not None
    assert "hots" in broken.message
    file.unlink()
    assert to_start_on(str(file), state, {}, service=True)[0].fingerprint == good.fingerprint


def test_files_that_it_names_are_still_those_beside_the_original(file: Path, state: Path) -> None:
    (file.parent / "key").write_text("k")
    file.write_text(GOOD.replace("slots: 1", "slots: 1, api_key_file: key"))
    good = config.load(file)
    keep(good, state, {})
    file.write_text("hosts: [broken\n")
    found, _ = to_start_on(str(file), state, {}, service=True)
    assert found.hosts["surtr"].endpoints[0].api_key_file == str(file.parent / "key")
    assert found.fingerprint == good.fingerprint


def test_a_person_is_told_and_nothing_else_happens(file: Path, state: Path) -> None:
    keep(config.load(file), state, {})
    file.write_text("hosts: [broken\n")
    with pytest.raises(ConfigError):
        to_start_on(str(file), state, {}, service=False)


def test_one_that_is_right_is_used_whatever_was_kept(file: Path, state: Path) -> None:
    keep(config.load(file), state, {})
    file.write_text(GOOD.replace("slots: 1", "slots: 2"))
    found, broken = to_start_on(str(file), state, {}, service=True)
    assert (found.hosts["surtr"].slots, broken) == (2, None)


def test_what_was_edited_since_it_was_read_is_not_known_to_be_good(file: Path, state: Path) -> None:
    good = config.load(file)
    keep(good, state, {})
    for edit in ("hosts: [broken\n", GOOD.replace("slots: 1", "slots: 2")):
        file.write_text(edit)
        with pytest.raises(ConfigError):
            keep(good, state, {})
        assert (state / NAME).read_text() == GOOD


def test_the_copy_itself_is_not_copied(file: Path, state: Path) -> None:
    keep(config.load(file), state, {})
    keep(config.load(state / NAME), state, {})
    assert (state / NAME).read_text() == GOOD
