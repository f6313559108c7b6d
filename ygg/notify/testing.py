"""Whether messages arrive: one to each target, now and once, whatever its quiet hours and limits."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Sequence
from typing import NamedTuple

from ygg.model.notices import Event, Notice, Target
from ygg.notify.letters import letter
from ygg.notify.sending import send
from ygg.notify.trying import NotSent

TITLE, TEXT = "a test of ygg", "messages of ygg on {host} arrive here"


class Tried(NamedTuple):
    """`error` is why it was not reached, "" where it was."""

    target: Target
    error: str
    took_s: float


async def tried(targets: Sequence[Target]) -> list[Tried]:
    """All at once. Never raises."""
    return list(await asyncio.gather(*map(_tried, targets)))


async def _tried(target: Target) -> Tried:
    text = TEXT.format(host=platform.node())
    notice = Notice(Event.TEST, round(time.time() * 1000), TITLE, text)
    began, error = time.monotonic(), ""
    try:
        await send(target, letter([notice]))
    except NotSent as failed:
        error = str(failed)
    return Tried(target, error, time.monotonic() - began)
