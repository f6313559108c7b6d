"""Files that nobody else may read, and that no planted link leads astray."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ygg import private


@pytest.fixture(params=[0o000, 0o022, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_modes_do_not_hang_on_the_umask(tmp_path: Path, umask: int) -> None:
    private.folder(tmp_path / "a" / "b")
    private.put(tmp_path / "a" / "b" / "text", "x")
    private.made(tmp_path / "a" / "empty")
    assert [mode(p) for p in (tmp_path / "a", tmp_path / "a" / "b")] == [0o700, 0o700]
    assert mode(tmp_path / "a" / "b" / "text") == mode(tmp_path / "a" / "empty") == 0o600


def test_what_is_there_is_closed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "text").write_text("x")
    (tmp_path / "text").chmod(0o666)
    private.folder(tmp_path / "open")
    os.close(private.opened(tmp_path / "text", os.O_WRONLY | os.O_APPEND))
    assert (mode(tmp_path / "open"), mode(tmp_path / "text")) == (0o700, 0o600)


def test_a_shared_directory_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    private.folder(tmp_path / "tmp")
    assert mode(tmp_path / "tmp") == 0o777


def test_no_link_is_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("before")
    link.symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        private.opened(link, os.O_WRONLY)
    private.put(link, "after")
    assert (target.read_text(), link.is_symlink(), link.read_text()) == ("before", False, "after")


def test_a_file_keeps_its_mode_when_it_is_replaced(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("x")
    kept.chmod(0o640)
    private.put(kept, "y")
    assert (mode(kept), kept.read_text()) == (0o640, "y")


def test_nothing_is_changed_or_left_where_the_check_fails(tmp_path: Path) -> None:
    def refuse(part: Path) -> None:
        assert part.read_text() == "new"
        raise ValueError("refused")

    (tmp_path / "text").write_text("old")
    with pytest.raises(ValueError, match="refused"):
        private.put(tmp_path / "text", "new", check=refuse)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]
