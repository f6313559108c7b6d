"""A daemon whose disk is full when it starts, without a disk that is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import apsw
import pytest

from ygg import daemon, disks, wire
from ygg.api.server import Door
from ygg.config import Config
from ygg.errors import StoreCorrupt, YggError
from ygg.ops.service.notify import Notifier
from ygg.running.scope import Scope
from ygg.stores.sqlite import open_store
from ygg.stores.sqlite.connecting import connected

FULL = disks.full("/var/lib/ygg")


class Told(Notifier):
    """What the service manager hears."""

    def __init__(self) -> None:
        super().__init__("@nobody")
        self.status: list[str] = []  # type: ignore[assignment]

    def send(self, **fields: str | int) -> None:
        self.status.append(str(fields.get("STATUS")))


class Starts:
    """Openings that go wrong in turn; then one that works."""

    def __init__(self, *errors: YggError) -> None:
        self.errors, self.tried = list(errors), 0

    @asynccontextmanager
    async def __call__(self, *_: Any, **__: Any) -> AsyncIterator[Scope]:
        self.tried += 1
        if self.errors:
            raise self.errors.pop(0)
        yield cast("Scope", "the scope")


def opened(
    monkeypatch: pytest.MonkeyPatch, starts: Starts, *, stopped: bool = False
) -> tuple[Scope | None, Told]:
    monkeypatch.setattr(wire, "running", starts)
    monkeypatch.setattr(daemon, "DISK_S", (0.0,))
    told = Told()

    async def main() -> Scope | None:
        made = daemon._Daemon(
            cast("Config", None), None, None, Path("/s"), Door(Path("/s/ygg.sock")), None, told
        )
        if stopped:
            made.stop.set()
        async with AsyncExitStack() as stack:
            return await asyncio.wait_for(made._opened(stack, Path("/s/ygg.db")), 10)

    return asyncio.run(main()), told


def test_it_tries_again_until_there_is_room_and_tells_it_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    starts = Starts(FULL, FULL, disks.read_only("/var/lib/ygg"))
    with caplog.at_level(logging.ERROR):
        scope, told = opened(monkeypatch, starts)
    assert (scope, starts.tried) == ("the scope", 4)
    lines = [r.getMessage() for r in caplog.records]
    assert len(lines) == 1
    assert lines[0].startswith("/var/lib/ygg: the disk is full: ygg waits for it")
    assert "free some space" in lines[0]
    assert told.status.count("waiting: /var/lib/ygg: the disk is full") == 2


def test_a_signal_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = Starts(FULL, FULL)
    scope, _ = opened(monkeypatch, starts, stopped=True)
    assert (scope, starts.tried) == (None, 1)


def test_other_trouble_is_not_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreCorrupt):
        opened(monkeypatch, Starts(StoreCorrupt("page 3")))


async def test_what_is_on_a_disk_that_takes_nothing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a b%20?c.db"
    await open_store(path).close()
    real = apsw.Connection

    def no_side_files(name: str, flags: int) -> apsw.Connection:
        if not flags & apsw.SQLITE_OPEN_URI:
            raise apsw.CantOpenError("unable to open database file")
        return real(name, flags=flags)

    monkeypatch.setattr(apsw, "Connection", no_side_files)
    with pytest.raises(apsw.CantOpenError):
        connected(path, 100)
    monkeypatch.setattr(disks, "looked", disks.full)
    db = connected(path, 100)
    assert db.execute("SELECT count(*) FROM tasks").get == 0
    db.close()
    path.with_name(f"{path.name}-wal").write_bytes(b"something")
    with pytest.raises(apsw.CantOpenError):
        connected(path, 100)
