"""What a dispatcher does beside its work: status lines, minutes, pruning. One endless job each."""

from __future__ import annotations

import asyncio

from ygg.errors import StoreCorrupt, YggError
from ygg.ports import Archive
from ygg.running.asking import log
from ygg.running.loop import RunLoop
from ygg.telling.minutes import Minutes
from ygg.telling.snapshotting import host_views

STATUS_S = 10.0  #: concurrency status in the log
PRUNE_S = 60.0
VERIFY_S = 3600.0  #: between two looks through the whole database
LOOK_S = 5.0  #: between two looks that become a row of the minutes


async def report_concurrency(loop: RunLoop) -> None:
    """Every 10 s one line: active tasks and free slots of each host, as long as anything runs."""
    was_active = False
    while True:
        await asyncio.sleep(STATUS_S)
        active = sum(len(call.tries) for call in loop.board.running)
        if active or was_active:
            log.info("Active tasks: %d (%s)", active, concurrency(loop))
        was_active = bool(active)


def concurrency(loop: RunLoop) -> dict[str, dict[str, object]]:
    """active, available_slots and task ids per host."""
    return {
        h.name: {"active": len(h.running), "available_slots": h.free, "tasks": list(h.running)}
        for h in host_views(loop.board, loop.now())
    }


async def record_minutes(loop: RunLoop) -> None:
    """Keep what each host did, minute by minute. The minute that runs when it ends is lost."""
    minutes = Minutes()
    while True:
        await asyncio.sleep(LOOK_S)
        now = loop.now()
        rows = minutes.fold(loop.board, host_views(loop.board, now), now)
        try:
            if rows:
                await loop.queue.record_minutes(rows)
        except YggError as error:
            log.warning("the last minute is not kept: %s", error)


async def verify(loop: RunLoop, archive: Archive) -> None:
    """Look through the database while nothing runs. Raises StoreCorrupt: damage must not wait for the next
    start to be told, and nothing more may be written upon it."""
    while True:
        await asyncio.sleep(VERIFY_S)
        if loop.board.running:
            continue
        try:
            await archive.verify()
        except StoreCorrupt:
            raise
        except YggError as error:
            log.warning("the database was not looked through: %s", error)


async def prune(loop: RunLoop) -> None:
    """Delete ended tasks past their retention, a small transaction at a time."""
    while True:
        try:
            while await loop.queue.prune(loop.wall_ms()) > 0:
                pass
        except YggError as error:
            log.warning("pruning failed: %s", error)
        await asyncio.sleep(PRUNE_S)
