"""Files that came with tasks, on the disk."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from ygg.errors import StoreFull
from ygg.uploads import Part, Uploads


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "ygg.db")


def put(uploads: Uploads, task: str, *pieces: bytes) -> Part:
    part = uploads.begin()
    for piece in pieces:
        part.write(piece)
    uploads.keep(part, task)
    uploads.end(part, task)
    return part


def test_a_file_is_kept_under_the_id_of_its_task_for_us_alone(uploads: Uploads) -> None:
    part = put(uploads, "task", b"a", b"b" * 100_000)
    assert uploads.content("task") == b"a" + b"b" * 100_000
    assert (part.size, len(part.head)) == (100_001, 8192)
    assert part.sha256 == hashlib.sha256(uploads.content("task")).hexdigest()
    assert uploads.folder.stat().st_mode & 0o777 == 0o700
    assert (uploads.folder / "task").stat().st_mode & 0o777 == 0o600
    assert uploads.names() == ["task"]


def test_what_is_coming_in_is_nobodys_to_remove(uploads: Uploads) -> None:
    part = uploads.begin()
    assert uploads.names() == []
    uploads.keep(part, "task")
    assert uploads.names() == []
    uploads.end(part, "task")
    assert uploads.names() == ["task"]


def test_a_file_that_came_to_nothing_is_gone(uploads: Uploads) -> None:
    part = uploads.begin()
    part.write(b"half")
    uploads.end(part, None)
    assert [*uploads.folder.iterdir()] == []


def test_one_that_a_crash_left_is_found(uploads: Uploads) -> None:
    uploads.end(uploads.begin(), None)
    (uploads.folder / ".part-dead").write_bytes(b"half")
    (left,) = uploads.names()
    uploads.drop(left)
    uploads.drop("no such")
    assert [*uploads.folder.iterdir()] == []


@pytest.mark.parametrize(
    ("pieces", "is_text"),
    [
        ((b"plain",), True),
        (("ö".encode()[:1], "ö".encode()[1:]), True),
        (("ö".encode()[:1],), False),
        ((b"a\0b",), False),
        ((b"\xff", b"plain"), False),
        ((b"\xef\xbb\xbfmarked",), True),
    ],
)
def test_text_is_what_reads_as_utf_8_from_end_to_end(
    uploads: Uploads, pieces: tuple[bytes, ...], is_text: bool
) -> None:
    part = uploads.begin()
    for piece in pieces:
        part.write(piece)
    assert part.is_text is is_text
    uploads.end(part, None)


def test_a_full_disk_is_told_as_such(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    part = uploads.begin()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFull):
        uploads.keep(part, "task")
    uploads.end(part, None)
    assert [*uploads.folder.iterdir()] == []


def test_no_folder_means_no_files(uploads: Uploads) -> None:
    assert uploads.names() == []
    with pytest.raises(FileNotFoundError):
        uploads.content("task")
