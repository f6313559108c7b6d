"""Pages of a listing, newest first. A cursor is the place of the last task in the order of submits: what is submitted
meanwhile moves nothing."""

from __future__ import annotations

from dataclasses import replace

from ygg.model import Task
from ygg.ports import Archive, Filter


async def page(archive: Archive, which: Filter) -> tuple[list[Task], str | None]:
    """The tasks of one page, and the cursor to go on with: None after the last one."""
    found = await archive.find(replace(which, limit=which.limit + 1))
    shown = found[: which.limit]
    return shown, str(shown[-1].seq) if len(found) > len(shown) else None
