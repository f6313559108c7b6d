"""What a dispatcher does beside its work: status lines, minutes, the clock, pruning. One endless job each."""

from __future__ import annotations

import asyncio

from ygg.errors import NotFound, StoreCorrupt, YggError
from ygg.model import State
from ygg.ports import Archive
from ygg.running.asking import log
from ygg.running.clock import STEP_MS
from ygg.running.loop import RunLoop
from ygg.telling.minutes import Minutes
from ygg.telling.snapshotting import host_views
from ygg.uploads import Uploads

STATUS_S = 10.0  #: concurrency status in the log
PRUNE_S = 60.0
VERIFY_S = 3600.0  #: between two looks through the whole database
CLOCK_S = 5.0  #: between two looks at the machine's clock
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


async def follow_clock(loop: RunLoop, archive: Archive) -> None:
    """Tell that the machine's clock was set, and go by it once no task waits or runs."""
    told = 0
    while True:
        await asyncio.sleep(CLOCK_S)
        off = loop.clock.off_ms
        if abs(off - told) >= STEP_MS:
            log.warning("%s", _clock_text(off))
            told = off
        try:
            if off and await _idle(archive):
                loop.take_over_clock()
                log.warning("the clock is taken over: no task waits")
                told = 0
        except YggError as error:
            log.debug("the clock is not taken over yet: %s", error)


def _clock_text(off_ms: int) -> str:
    if not off_ms:
        return "the clock is as it was again"
    way = "forward" if off_ms > 0 else "back"
    return (
        f"the clock was set {way} by {abs(off_ms) / 1000:,.0f} s:"
        " times of tasks go on as before, until no task waits"
    )


async def _idle(archive: Archive) -> bool:
    counts = await archive.counts()
    return not any(map(counts.state, (State.QUEUED, State.SCHEDULED, State.PROCESSING)))


async def prune(loop: RunLoop, archive: Archive) -> None:
    """Delete ended tasks past their retention, a small transaction at a time; then files whose tasks are gone."""
    while True:
        try:
            while await loop.queue.prune(loop.clock.now_ms()) > 0:
                pass
            await prune_files(loop.uploads, archive)
        except YggError as error:
            log.warning("pruning failed: %s", error)
        await asyncio.sleep(PRUNE_S)


async def prune_files(uploads: Uploads | None, archive: Archive) -> None:
    """Remove files that came with tasks which are gone, or which never came to be."""
    for name in uploads.names() if uploads else ():
        try:
            await archive.get(name)
        except NotFound:
            assert uploads is not None
            await asyncio.to_thread(uploads.drop, name)
