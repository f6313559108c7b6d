"""A hosts.yaml that is there already."""

from __future__ import annotations

import pytest

from tests.ops.fakes import ollama
from tests.ops.first.house import QWEN, here, init
from tests.surface.cli import Cli
from ygg import config
from ygg.cli import asking


@pytest.mark.parametrize("args", [(), ("--yes",), ("--network",)])
def test_a_file_is_not_overwritten_without_force(offline: Cli, args: tuple[str, ...]) -> None:
    before = offline.config.read_text()
    with here(ollama(QWEN)):
        text = init(offline, *args, code=1)
    assert "--force" in text
    assert offline.config.read_text() == before


def test_force_overwrites(offline: Cli) -> None:
    with here(ollama(QWEN)):
        init(offline, "--force", "--no-test")
    assert "qwen3:8b" in offline.config.read_text()
    assert [p.name for p in offline.folder.iterdir() if "hosts" in p.name] == ["hosts.yaml"]


@pytest.mark.parametrize(("says", "code"), [("y\n", 0), ("n\n", 1)])
def test_a_person_may_overwrite(
    offline: Cli, says: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "person", lambda: True)
    before = offline.config.read_text()
    with here(ollama(QWEN)):
        assert "Overwrite" in init(offline, "--no-test", code=code, stdin=says)
    assert (offline.config.read_text() == before) is (code == 1)


def test_printing_writes_nothing(offline: Cli) -> None:
    before = offline.config.read_text()
    with here(ollama(QWEN)):
        ran = offline.ok("init", "--print", stdin="")
    assert offline.config.read_text() == before
    other = offline.folder / "other.yaml"
    other.write_text(ran.out)
    assert config.load(other).hosts


def test_the_file_goes_where_it_was_asked_for(fresh: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YGG_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(fresh.folder / "xdg"))
    with here(ollama(QWEN)):
        init(fresh, "--no-test")
        assert (fresh.folder / "xdg/ygg/hosts.yaml").is_file()
        (fresh.folder / "hosts.yaml").write_text("x")
        ran = fresh("--config", "new/mine.yaml", "init", "--no-test", stdin="")
    assert (fresh.folder / "new/mine.yaml").is_file()
    assert "from here ygg uses hosts.yaml" in ran.err


def test_a_place_that_cannot_be_written_is_told(
    fresh: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fresh.folder / "file").touch()
    monkeypatch.setenv("YGG_CONFIG", str(fresh.folder / "file/hosts.yaml"))
    with here(ollama(QWEN)):
        assert "cannot be written" in init(fresh, "--no-test", code=1)
