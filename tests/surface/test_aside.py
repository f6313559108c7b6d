"""Where a body is read: a small one in the loop, what is larger in a thread."""

from __future__ import annotations

from threading import get_ident

from ygg.api.aside import LARGE, SMALL, aside


async def test_only_a_small_body_is_read_in_the_loop() -> None:
    sizes = (0, SMALL, SMALL + 1, LARGE, LARGE + 1)
    here = [await aside(size, get_ident) == get_ident() for size in sizes]
    assert here == [True, True, False, False, False]
