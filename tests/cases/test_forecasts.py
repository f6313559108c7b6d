"""Chapter F: right after a restart, how long the queue takes is told from what is recorded."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cases.house import House, config
from tests.cases.scripted import Reply, scripted
from tests.system.rig import until
from ygg.model import MinuteRow
from ygg.stores.sqlite import open_store
from ygg.telling.pacing import past_of

MINUTE = 60_000
DONE = '{"message": {"content": "hi"}, "done": true}'


def recorded(path: Path, rows: list[MinuteRow]) -> None:
    """Write minutes of earlier runs into the database of a house that does not run."""

    async def write() -> None:
        store = open_store(path, dispatcher=False)
        await store.record_minutes(rows)
        await store.close()

    asyncio.run(write())


def snapshot(home: House) -> dict[str, Any]:
    with closing(home.remote()) as desk:
        told: dict[str, Any] = desk.snapshot()["snapshot"]
        return told


def rows(age_minutes: int, count: int = 30) -> list[MinuteRow]:
    """Minutes in which one call after another ran, nine seconds each."""
    began = (time.time_ns() // 60_000_000_000 - age_minutes) * MINUTE
    made = [
        MinuteRow("surtr", began - n * MINUTE, 12, 1, 1, 0.975, 3, (6, 7)[n % 2])
        for n in range(count)
    ]
    assert past_of(made)["surtr"] == pytest.approx(9000)
    return made


def drain_told(home: House) -> str:
    """A frame that shows that tasks wait; "" while it does not."""
    frame = home.ygg("top", "--once").stdout
    return "" if "queued 0" in frame else frame


@pytest.mark.parametrize(("age", "known"), [(1, True), (60 * 24 * 9, True), (60 * 24 * 15, False)])
def test_a_restart_forecasts_from_the_minutes_of_the_last_days(
    tmp_path: Path, age: int, known: bool
) -> None:
    with scripted(Reply("@pause 60")) as server:
        path = tmp_path / "hosts.yaml"
        path.write_text(config({"surtr": server}, policies="{drain: 1s}"))
        home = House(tmp_path, path)
        recorded(home.database, rows(age))
        home.start()
        try:
            many = b"".join(b'{"prompt": "x"}\n' for _ in range(20))
            home.ygg("submit", "--jsonl", "-", stdin=many)
            if known:
                told = until(lambda: snapshot(home)["drain_ms"], 20, "it is forecast")
                assert 120_000 < told < 200_000
                waits = [w["expected_ms"] for w in snapshot(home)["waiting"]]
                assert waits[0] == pytest.approx(9000, rel=0.1)
            else:
                until(lambda: snapshot(home)["running"], 20, "it runs")
                top = until(lambda: drain_told(home), 20, "what waits is counted")
                assert "empty in: unknown" in top
                assert snapshot(home)["drain_ms"] is None
        finally:
            home.stop()


def test_what_ended_before_a_restart_is_remembered_with_its_rate(tmp_path: Path) -> None:
    with scripted(Reply(f"@pause 0.3\n{DONE}")) as server:
        path = tmp_path / "hosts.yaml"
        path.write_text(config({"surtr": server}, policies="{drain: 1s}"))
        home = House(tmp_path, path)
        home.start()
        try:
            tasks = [home.submit("x") for _ in range(3)]
            assert [home.end(task)["state"] for task in tasks] == ["completed"] * 3
            before = until(lambda: snapshot(home)["per_minute"], 20, "it is measured")
            home.stop()
            home.start()
            until(lambda: snapshot(home)["recent"], 20, "it is remembered")
            told = snapshot(home)
        finally:
            home.stop()
    assert [end["task_id"] for end in told["recent"]] == tasks
    assert told["per_minute"] == pytest.approx(before, rel=0.5)
