"""What doctor says of the database."""

from __future__ import annotations

import os
from pathlib import Path

import apsw
import pytest

from tests.ops.doctor.house import found, one
from tests.surface.cli import Cli
from ygg.ops.doctor import store
from ygg.stores.sqlite import inspecting


def test_no_database_is_in_order(offline: Cli) -> None:
    check = one(offline, "database")
    assert check["status"] == "ok"
    assert "first task" in check["message"]


def test_a_sound_database_is_in_order(offline: Cli, database: Path) -> None:
    mine = [c for c in found(offline) if c["category"] == "store"]
    assert {c["name"] for c in mine} == {"integrity", "schema", "log", "disk", "sqlite"}
    assert {c["status"] for c in mine} == {"ok"}


def test_a_damaged_database_is_an_error(offline: Cli, database: Path) -> None:
    raw = bytearray(database.read_bytes())
    raw[4096 * 3 :] = os.urandom(len(raw) - 4096 * 3)
    database.write_bytes(raw)
    check = one(offline, "integrity")
    assert check["status"] == "error"
    assert "backup" in check["fix"]


def test_a_foreign_file_is_an_error(offline: Cli, database: Path) -> None:
    database.write_bytes(b"no database at all" * 1000)
    assert one(offline, "integrity")["status"] == "error"
    database.unlink()
    db = apsw.Connection(str(database))
    db.execute("CREATE TABLE x (y)")
    db.close()
    assert "not one of ygg's" in one(offline, "database")["message"]


def test_a_newer_schema_is_an_error(offline: Cli, database: Path) -> None:
    db = apsw.Connection(str(database))
    db.execute("PRAGMA user_version = 999")
    db.close()
    check = one(offline, "schema")
    assert check["status"] == "error"
    assert "999" in check["message"]


def test_an_integrity_check_without_time_is_said_to_be_none(
    offline: Cli, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr(store, "CHECK_S", 0.0)
    monkeypatch.setattr(inspecting, "STEPS", 1)
    check = one(offline, "integrity")
    assert "not checked to the end" in check["message"]
    assert "ygg backup" in check["fix"]


def test_a_log_that_is_not_folded_is_a_warning(
    offline: Cli, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOG_MAX", -1)
    assert one(offline, "log")["status"] == "warning"


@pytest.mark.parametrize(("limit", "status"), [("FREE_LOW", "warning"), ("FREE_LEAST", "error")])
def test_a_full_disk_is_found(
    offline: Cli, limit: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, limit, 10**18)
    assert one(offline, "disk")["status"] == status


@pytest.mark.parametrize(
    ("version", "status"), [("3.51.2", "error"), ("3.9.9", "error"), ("3.51.3", "ok")]
)
def test_an_old_sqlite_is_an_error(
    offline: Cli, version: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "sqlite_lib_version", lambda: version)
    assert one(offline, "sqlite")["status"] == status


def test_looking_takes_no_lock_and_changes_nothing(offline: Cli, database: Path) -> None:
    before = database.read_bytes(), database.stat().st_mtime_ns
    found(offline)
    assert (database.read_bytes(), database.stat().st_mtime_ns) == before
    offline.submit("two")
