"""Work on large bodies, beside the event loop: meanwhile others are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

SMALL = 8192  #: bytes; not even the dearest of them keeps anybody waiting
LARGE = 1024 * 1024  #: what has more takes many times its size in memory
_ONE = ThreadPoolExecutor(1, "large-body")

P = ParamSpec("P")
R = TypeVar("R")


async def aside(size: int, work: Callable[P, R], *args: P.args, **more: P.kwargs) -> R:
    """What `work` on a body of so many bytes returns: of a small one done at once, else in a thread. Large
    ones wait for each other there."""
    if size <= SMALL:
        return work(*args, **more)
    pool = _ONE if size > LARGE else None
    return await asyncio.get_running_loop().run_in_executor(pool, lambda: work(*args, **more))
