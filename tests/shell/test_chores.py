"""What a dispatcher does beside its work, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from tests.shell.virtual import House, house, run_virtual
from ygg.errors import StoreCorrupt, StoreError, YggError
from ygg.running import chores


def looked_through(
    found: list[YggError | None], *, tasks: int = 0, latency_s: float = 0.0
) -> list[int]:
    """What the looks of as many hours as `found` came upon: how many calls ran at each."""
    looks: list[int] = []

    async def scene(home: House) -> None:
        async def verify() -> None:
            looks.append(len(list(home.dispatcher.loop.board.running)))
            error = found[len(looks) - 1]
            if error is not None:
                raise error

        home.store.verify = verify  # type: ignore[method-assign]
        home.places["a"].latency_s = latency_s
        for _ in range(tasks):
            await home.submit()
        await asyncio.wait_for(
            chores.verify(home.dispatcher.loop, home.store), chores.VERIFY_S * (len(found) + 0.5)
        )

    async def main() -> None:
        async with house({"a": 1}, {"general": ("a",)}) as home:
            await scene(home)

    with pytest.raises((TimeoutError, StoreCorrupt)) as ended:
        run_virtual(main())
    assert isinstance(ended.value, StoreCorrupt) == isinstance(found[-1], StoreCorrupt)
    return looks


def test_an_idle_house_looks_through_its_database_every_hour() -> None:
    assert looked_through([None, None, None]) == [0, 0, 0]


def test_a_house_at_work_looks_later() -> None:
    assert looked_through([None, None], tasks=9, latency_s=chores.VERIFY_S / 8) == [0]


def test_damage_ends_the_chore_and_other_trouble_does_not() -> None:
    assert looked_through([StoreError("busy"), None, StoreCorrupt("page 3")]) == [0, 0, 0]
