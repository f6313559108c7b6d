"""What is said of a disk, by an error or by looking at it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest

from ygg import disks
from ygg.errors import StoreError, StoreFull, StoreReadOnly
from ygg.stores.sqlite.translating import translate

DB = Path("/var/lib/ygg/ygg.db")


def seen(**facts: int) -> Callable[[object], SimpleNamespace]:
    sound = {"f_flag": 0, "f_files": 100, "f_favail": 50, "f_bavail": 1000, "f_frsize": 4096}
    return lambda _: SimpleNamespace(**(sound | facts))


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull), (errno.EROFS, StoreReadOnly),
        (errno.EACCES, None), (errno.EIO, None), (errno.ENOENT, None),
    ],
)  # fmt: skip
def test_errors_of_the_system(number: int, kind: type | None) -> None:
    told = disks.told(OSError(number, os.strerror(number)), DB)
    assert (told is None) if kind is None else isinstance(told, kind)


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({}, None), ({"f_flag": os.ST_RDONLY}, StoreReadOnly), ({"f_bavail": 0}, StoreFull),
        ({"f_bavail": 15}, StoreFull), ({"f_bavail": 16}, None), ({"f_favail": 0}, StoreFull),
        ({"f_favail": 0, "f_files": 0}, None),  # btrfs counts no files
    ],
)  # fmt: skip
@pytest.mark.parametrize("error", [apsw.IOError("disk I/O error"), apsw.CantOpenError("no")])
def test_an_error_that_says_too_little_is_looked_into(
    monkeypatch: pytest.MonkeyPatch, facts: dict[str, int], kind: type | None, error: apsw.Error
) -> None:
    monkeypatch.setattr(os, "statvfs", seen(**facts))
    told = translate(error, str(DB))
    assert isinstance(told, kind or StoreError)
    assert isinstance(told, StoreFull | StoreReadOnly) == (kind is not None)


def test_a_disk_that_cannot_be_seen_is_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError(errno.EACCES, "no")

    monkeypatch.setattr(os, "statvfs", refuse)
    assert disks.looked(DB) is None


def test_the_room_of_a_disk_is_what_may_be_written_of_its_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A part of what is free is kept for root: nobody else may write there."""
    found = seen(f_bavail=3, f_bfree=8, f_blocks=10, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", found)
    assert disks.room(DB) == (3 * 4096, 10 * 4096)


def test_nothing_is_known_of_a_disk_that_is_not_there(tmp_path: Path) -> None:
    assert disks.room(tmp_path / "gone") is None
