"""ygg tune: with a daemon and without one, for people, pipes and programs."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.shell.readings import past
from tests.surface.cli import Cli
from tests.surface.test_cli import HEAVY, loaded_by
from tests.surface.world import Api
from ygg.cli.tune import PARALLEL
from ygg.model import MinuteRow
from ygg.stores.sqlite import open_store

MORE = """\
surtr: more slots
  hosts.surtr.slots: 1 -> 2
  tasks waited longer than 1 min and the GPU was 44 % busy while tasks waited,
  and memory is free
  memory  up to 62 % in 9 of 10 minutes, 62 % at most
  waits   up to 1m35s in 9 of 10 minutes, 41s on average, 1m35s at most
  GPU     44 % busy, 44 % in the 400 minutes in which tasks waited
  basis   400 minutes with work, 0.9 calls at a time
"""


def remember(path: Path, rows: list[MinuteRow]) -> None:
    """Put these minutes into a database."""

    async def work() -> None:
        store = open_store(path, dispatcher=False)
        await store.record_minutes(rows)
        await store.close()

    asyncio.run(work())


def now_ms() -> int:
    return time.time_ns() // 60_000_000_000 * 60_000


@pytest.fixture
def database(offline: Cli) -> Cli:
    """A home without a daemon whose `surtr` had work for 400 minutes."""
    remember(offline.state / "ygg.db", past(400, before_ms=now_ms()))
    return offline


def test_without_a_daemon_the_advice_comes_from_the_database(database: Cli) -> None:
    ran = database.ok("tune", "surtr")
    assert (ran.out, ran.err) == (MORE, "")


def test_the_daemon_advises_the_same(cli: Cli, home: Api) -> None:
    asyncio.run(home.house.store.record_minutes(past(400)))
    assert cli.ok("tune", "surtr").out == MORE
    assert cli.ok("tune", "--json").json["hosts"][0]["slots_advised"] == 2


def test_without_history_it_says_what_is_needed(either: Cli) -> None:
    ran = either.ok("tune")
    assert ran.lines == [
        "surtr: no advice",
        "  not enough history yet: 0 of 30 minutes with work",
        "",
        "fenrir: no advice",
        "  not enough history yet: 0 of 30 minutes with work",
    ]


def test_days_bound_what_is_looked_at(offline: Cli) -> None:
    long_ago = past(400, before_ms=now_ms() - 3 * 86_400_000)
    remember(offline.state / "ygg.db", long_ago + past(12, before_ms=now_ms()))
    assert "12 of 30 minutes" in offline.ok("tune", "surtr", "--days", "1").out
    assert "412 minutes with work" in offline.ok("tune", "surtr", "--days", "14").out
    assert offline("tune", "--days", "15").code == 2


def test_an_unknown_host_exits_3_and_names_the_known(either: Cli) -> None:
    either.submit()
    ran = either("tune", "sutr")
    assert (ran.code, ran.out) == (3, "")
    assert "hosts: fenrir, surtr" in ran.err


@pytest.mark.parametrize("fields", [
    {"used_share": 0.951}, {"limit": 0}, {"used_share": None, "utilization": None},
    {"utilization": 97.0}, {"wait_max_ms": 86_400_000, "wait_ms": 80_000_000}, {"started": 0},
])  # fmt: skip
def test_it_fits_80_columns_whatever_it_says(offline: Cli, fields: dict[str, float]) -> None:
    rows = past(9999, before_ms=now_ms(), **fields)
    remember(offline.state / "ygg.db", rows)
    lines = offline.ok("tune", "surtr").lines
    assert len(lines) > 3
    assert [line for line in lines if len(line) > 80] == []


def test_a_terminal_gets_the_same_plain_text_and_the_next_step(database: Cli) -> None:
    ran = database.ok("tune", "surtr", tty=True)
    assert (ran.out, ran.err) == (MORE, PARALLEL + "\n")


def test_figures_that_are_not_known_have_no_line(offline: Cli) -> None:
    blind = {"used_share": None, "used_mb": None, "utilization": None, "started": 0}
    rows = past(40, before_ms=now_ms(), **blind, wait_ms=None, wait_max_ms=None)
    remember(offline.state / "ygg.db", rows)
    assert offline.ok("tune", "surtr").lines == [
        "surtr: fine",
        "  memory, waits and use are within bounds",
        "  basis   40 minutes with work, 0.9 calls at a time",
    ]


def test_with_a_daemon_it_loads_nothing_heavy(cli: Cli) -> None:
    loaded = loaded_by(cli, "tune")
    assert not {m.split(".")[0] for m in loaded} & (HEAVY | {"asyncio"})
    assert "ygg.core" not in loaded
