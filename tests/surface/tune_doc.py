"""The example of docs/tuning.md: `python -m tests.surface.tune_doc` prints it.

Two hours of the real dispatcher in virtual time: bursts for a host with too few slots, a stream for one
whose memory is full, a trickle for the third. The minutes it kept go into a database, and `ygg tune`
reads that.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.shell.readings import CARD, measure
from tests.shell.virtual import START_MS, House, house, run_virtual
from tests.surface.cli import Cli
from ygg.model import Device, MinuteRow
from ygg.running import chores
from ygg.stores.sqlite import open_store

HOURS = 2
SLOTS = {"surtr-reasoning": 2, "fenrir-chat": 3, "skadi-code": 2}
TYPES = {"reasoning": "surtr-reasoning", "text": "fenrir-chat", "code": "skadi-code"}
CONFIG = "hosts:\n" + "".join(
    f'  {name}: {{slots: {slots}, backend: ollama, url: "http://{name}:11434", models: [m]}}\n'
    for name, slots in SLOTS.items()
) + "task_types:\n  general: {route: [surtr-reasoning]}\n"  # fmt: skip


def card(used_percent: float, utilization: float) -> Device:
    total = 8192.0
    free = total * (1 - used_percent / 100)
    return replace(CARD, total_mb=total, free_mb=free, utilization=utilization, temperature_c=62.0)


async def _stream(home: House, type_: str, count: int, every_s: float) -> None:
    """That many tasks at once, again and again."""
    while True:
        for _ in range(count):
            await home.submit(type_)
        await asyncio.sleep(every_s)


async def _two_hours() -> list[MinuteRow]:
    async with house(SLOTS, {t: (h,) for t, h in TYPES.items()}) as home:
        for host, used, busy, latency_s in (
            ("surtr-reasoning", 61, 38, 40), ("fenrir-chat", 94, 71, 25), ("skadi-code", 55, 64, 30),
        ):  # fmt: skip
            measure(home, host, card(used, busy))
            home.places[host].latency_s = latency_s
        jobs = [
            chores.record_minutes(home.dispatcher.loop), _stream(home, "reasoning", 20, 600),
            _stream(home, "text", 1, 20), _stream(home, "code", 1, 45),
        ]  # fmt: skip
        tasks = [asyncio.create_task(job) for job in jobs]
        await asyncio.sleep(3600 * HOURS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return await home.store.minutes(None, 0)


async def _keep(path: Path, rows: list[MinuteRow]) -> None:
    """As if they had been recorded until now."""
    shift = time.time_ns() // 60_000_000_000 * 60_000 - START_MS - 3_600_000 * HOURS
    store = open_store(path, dispatcher=False)
    await store.record_minutes([replace(r, minute_ms=r.minute_ms + shift) for r in rows])
    await store.close()


def printed() -> str:
    """The command and what it prints."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        cli = Cli(Path(folder), patch)
        cli.config.write_text(CONFIG)
        asyncio.run(_keep(cli.state / "ygg.db", run_virtual(_two_hours())))
        return "$ ygg tune\n" + cli.ok("tune").out


if __name__ == "__main__":
    print(printed(), end="")
