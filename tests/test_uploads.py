"""Files that came with tasks, on the disk."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from ygg.errors import StoreFull, UploadsFull
from ygg.uploads import Part, Uploads

MOST = 1_000_000  #: bytes of all files


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "ygg.db")


def put(uploads: Uploads, task: str, *pieces: bytes) -> Part:
    part = uploads.begin(MOST)
    for piece in pieces:
        part.write(piece)
    uploads.keep(part, task)
    uploads.end(part, task)
    return part


def test_a_file_is_kept_under_the_id_of_its_task_for_us_alone(uploads: Uploads) -> None:
    part = put(uploads, "task", b"a", b"b" * 100_000)
    kept = uploads.kept("task", "text/plain")
    assert (kept.size, kept.path.read_bytes()) == (100_001, b"a" + b"b" * 100_000)
    assert (part.size, len(part.head)) == (100_001, 8192)
    assert part.sha256 == hashlib.sha256(kept.path.read_bytes()).hexdigest()
    assert uploads.folder.stat().st_mode & 0o777 == 0o700
    assert (uploads.folder / "task").stat().st_mode & 0o777 == 0o600
    assert uploads.names() == ["task"]


def test_what_is_coming_in_is_nobodys_to_remove(uploads: Uploads) -> None:
    part = uploads.begin(MOST)
    assert uploads.names() == []
    uploads.keep(part, "task")
    assert uploads.names() == []
    uploads.end(part, "task")
    assert uploads.names() == ["task"]


def test_a_file_that_came_to_nothing_is_gone(uploads: Uploads) -> None:
    part = uploads.begin(MOST)
    part.write(b"half")
    uploads.end(part, None)
    assert [*uploads.folder.iterdir()] == []


def test_one_that_a_crash_left_is_found(uploads: Uploads) -> None:
    uploads.end(uploads.begin(MOST), None)
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
    part = uploads.begin(MOST)
    for piece in pieces:
        part.write(piece)
    assert part.is_text is is_text
    uploads.end(part, None)


def test_a_full_disk_is_told_as_such(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    part = uploads.begin(MOST)

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
        uploads.kept("task", "text/plain")


# --- how much all of them may take ----------------------------------------------------------------


def fill(part: Part, size: int) -> None:
    part.write(b"x" * size)


def test_all_files_together_have_a_limit_and_not_a_byte_more(uploads: Uploads) -> None:
    put(uploads, "one", b"x" * 600_000)
    part = uploads.begin(MOST)
    fill(part, 400_000)
    with pytest.raises(UploadsFull) as caught:
        fill(part, 1)
    assert caught.value.http_status == 507
    assert caught.value.retry_after_s == 60
    uploads.end(part, None)
    put(uploads, "two", b"x" * 400_000)
    uploads.end(uploads.begin(MOST), None)
    uploads.drop("one")
    put(uploads, "three", b"x" * 600_000)
    assert sum(p.stat().st_size for p in uploads.folder.iterdir()) == MOST


def test_files_that_come_at_once_share_what_room_there_is(uploads: Uploads) -> None:
    first, second = uploads.begin(MOST), uploads.begin(MOST)
    fill(first, 600_000)
    third = uploads.begin(MOST)
    fill(second, 300_000)
    with pytest.raises(UploadsFull):
        fill(third, 200_000)
    fill(third, 100_000)
    for part in (first, second, third):
        uploads.end(part, None)
    fill(fourth := uploads.begin(MOST), MOST)
    uploads.end(fourth, None)


def test_one_that_is_kept_and_not_yet_a_tasks_counts_once(uploads: Uploads) -> None:
    part = uploads.begin(MOST)
    fill(part, 600_000)
    uploads.keep(part, "task")
    other = uploads.begin(MOST)
    fill(other, 400_000)
    uploads.end(part, "task")
    uploads.end(other, None)


def test_a_lower_limit_holds_for_what_comes_next(uploads: Uploads) -> None:
    put(uploads, "one", b"x" * 600_000)
    part = uploads.begin(500_000)
    with pytest.raises(UploadsFull):
        fill(part, 1)
    uploads.end(part, None)
    assert uploads.names() == ["one"]
