"""Looks at the hosts become one row per minute, and an idle house none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.world import World, host, kind
from ygg.core import events as ev
from ygg.core.events import DispatchPaused, HostDrained
from ygg.model import (
    Candidate,
    Endpoint,
    GpuView,
    HostHealth,
    Lane,
    MinuteRow,
    Outcome,
    OutcomeKind,
    TaskType,
)
from ygg.model.snapshot import memory_of
from ygg.telling.minutes import Minutes, waiting_by_host
from ygg.telling.snapshotting import host_views

CARD = GpuView(used_mb=4096, total_mb=8192, temperature_c=60, utilization=40)


class Watched:
    """A world that is looked at every five seconds. `surtr` has two slots, `skadi` one."""

    def __init__(self) -> None:
        types = {"code": kind("code", "skadi"), "text": kind("text", "surtr", "skadi")}
        self.world = World((host("surtr", 2), host("skadi", 1)), types)
        self.minutes = Minutes()
        self.gpus: dict[str, tuple[GpuView, ...]] = {}
        self.rows: list[MinuteRow] = []
        self.looked = self.world.now.wall_ms // 60_000
        for name in ("surtr", "skadi"):
            self.world.check_answer(name, HostHealth.UP)

    def look(self, looks: int = 1) -> None:
        for _ in range(looks):
            hosts = [
                replace(view, gpus=self.gpus.get(view.name, ()))
                for view in host_views(self.world.board, self.world.now)
            ]
            self.rows += self.minutes.fold(self.world.board, hosts, self.world.now)
            self.looked = self.world.now.wall_ms // 60_000
            self.world.mono += 5

    def rest_of_minute(self) -> None:
        """Looks until the rows of the minute of the last look are out."""
        minute = self.looked
        while self.looked == minute:
            self.look()

    def row(self, name: str) -> MinuteRow:
        """Its newest row."""
        return next(r for r in reversed(self.rows) if r.host == name)

    def count(self, name: str) -> int:
        return sum(r.host == name for r in self.rows)


def test_rows_come_when_their_minute_is_over() -> None:
    house = Watched()
    began = house.world.now.wall_ms
    house.look(12)
    assert house.rows == []
    house.look()
    assert {(r.host, r.minute_ms, r.samples) for r in house.rows} == {
        ("surtr", began, 12),
        ("skadi", began, 12),
    }


def test_a_minute_has_means_and_peaks() -> None:
    house = Watched()
    for used, degrees, busy in ((2048, 50, 10), (6144, 71, 90)):
        card = replace(CARD, used_mb=used, temperature_c=degrees, utilization=busy)
        house.gpus["surtr"] = (card,)
        house.look(6)
    house.rest_of_minute()
    row = house.row("surtr")
    assert (row.used_mb, row.total_mb, row.used_share) == (4096, 8192, 0.75)
    assert (row.temperature_c, row.utilization) == (71, 50)


def test_all_cards_of_a_host_count_together() -> None:
    house = Watched()
    hot = replace(CARD, index=1, used_mb=1024, total_mb=4096, temperature_c=80, utilization=None)
    house.gpus["surtr"] = (CARD, hot)
    house.rest_of_minute()
    row = house.row("surtr")
    assert (row.used_mb, row.total_mb) == (5120, 12288)
    assert (row.temperature_c, row.utilization) == (80, 40)


def test_what_no_reading_tells_is_none() -> None:
    house = Watched()
    house.gpus["skadi"] = (replace(CARD, stale=True),)
    house.rest_of_minute()
    for name in ("surtr", "skadi"):
        row = house.row(name)
        told = (row.used_mb, row.total_mb, row.used_share, row.temperature_c, row.utilization)
        assert told == (None,) * 5
    assert memory_of((replace(CARD, used_mb=None),)) is None
    assert memory_of(()) is None


def test_running_is_a_mean_the_limit_the_least_and_waiting_the_most() -> None:
    house = Watched()
    tasks = [house.world.submit("text") for _ in range(6)]
    house.world.board.hosts["surtr"].limit = 1
    house.look(3)
    house.world.board.hosts["surtr"].limit = 2
    for task in tasks[:2]:
        house.world.end(task)
    house.look(3)
    for task in tasks[2:]:
        house.world.end(task)
    house.rest_of_minute()
    row = house.row("surtr")
    assert (row.slots, row.limit, row.waiting) == (2, 1, 3)
    assert row.running == pytest.approx(2 * 6 / 12)


def test_a_task_waits_for_every_host_that_could_take_it() -> None:
    house = Watched()
    for _ in range(4):
        house.world.submit("code")
    assert waiting_by_host(house.world.board, house.world.now) == {"skadi": 3}
    for _ in range(3):
        house.world.submit("text")
    assert waiting_by_host(house.world.board, house.world.now) == {"skadi": 4, "surtr": 1}
    house.world.submit("text", lane=Lane("text", host="surtr"))
    assert waiting_by_host(house.world.board, house.world.now) == {"skadi": 4, "surtr": 2}


@pytest.mark.parametrize("why", ["paused", "drained", "down"])
def test_tasks_that_wait_for_something_else_than_a_slot_do_not_count(why: str) -> None:
    house = Watched()
    for _ in range(3):
        house.world.submit("code")
    house.look()
    if why == "paused":
        house.world.feed(DispatchPaused(True))
    elif why == "drained":
        house.world.feed(HostDrained("skadi", True))
    else:
        house.world.check_answer("skadi", HostHealth.DOWN)
    house.rest_of_minute()
    assert house.row("skadi").waiting == 2
    house.rest_of_minute()
    assert house.row("skadi").waiting == 0


def test_tasks_that_only_a_busy_server_could_take_wait_for_no_slot() -> None:
    house = Watched()
    servers = tuple(Endpoint(n, "ollama", f"http://{n}", ("m",), slots=1) for n in ("x", "y"))
    house.world.types = {n: TaskType(n, (Candidate("skadi", n, "m"),)) for n in ("x", "y")}
    house.world.hosts = (replace(host("skadi", 2), endpoints=servers),)
    house.world.own()
    busy, runs = house.world.submit("x"), house.world.submit("y")
    house.world.end(busy, Outcome(OutcomeKind.BUSY, "later", retry_after_s=900.0))
    house.world.submit("x")
    assert runs in house.world.calls
    house.look()
    house.rest_of_minute()
    assert house.row("skadi").waiting == 0
    house.world.submit("y")
    house.rest_of_minute()
    assert house.row("skadi").waiting == 1


def test_memory_is_kept_of_all_cards_or_of_none() -> None:
    house = Watched()
    silent, lost = replace(CARD, used_mb=None), GpuView(error="it fell off the bus")
    for cards, used in (((CARD, silent), None), ((CARD, lost), 4096)):
        house.gpus["surtr"] = cards
        house.look()
        house.rest_of_minute()
        assert house.row("surtr").used_mb == used


def test_an_open_slot_keeps_nobody_waiting() -> None:
    house = Watched()
    house.world.feed(ev.HostDrained("skadi", True))
    house.world.submit("code")
    house.world.board.hosts["skadi"].drained = False
    house.look()
    house.rest_of_minute()
    assert waiting_by_host(house.world.board, house.world.now) == {"skadi": 1}
    assert house.row("skadi").waiting == 0


def test_waits_are_counted_once_with_the_minute_their_start_was_seen_in() -> None:
    house = Watched()
    first, second, third = (house.world.submit("code") for _ in range(3))
    house.look()
    house.world.mono += 90
    house.world.end(first)  # second starts after 95 s
    house.look()
    house.world.end(second)  # third after 100 s, and it ends before anybody looks
    house.world.end(third)
    house.rest_of_minute()
    early, late = (r for r in house.rows if r.host == "skadi")
    assert (early.started, early.wait_ms, early.wait_max_ms) == (1, 0, 0)
    assert (late.started, late.wait_ms, late.wait_max_ms) == (2, 97_500, 100_000)
    house.rest_of_minute()
    assert house.count("skadi") == 2


def test_a_call_whose_end_is_still_being_written_is_no_new_start() -> None:
    house = Watched()
    task = house.world.submit("code")
    house.look()
    call = house.world.calls[task]
    house.world.feed(house.world.ended(call), settle=False)
    house.look()
    house.world.settle()
    house.look()
    house.rest_of_minute()
    assert house.row("skadi").started == 1


def test_a_start_whose_wait_is_not_known_any_more_is_left_out() -> None:
    house = Watched()
    task = house.world.submit("code")
    house.world.fail(task, OutcomeKind.UNREACHABLE)
    ended = house.world.board.recent[-1]
    house.world.board.recent[-1] = replace(ended, wait_ms=None)
    house.rest_of_minute()
    assert house.row("skadi").started == 0


def test_an_idle_house_writes_one_row_each_and_then_none() -> None:
    house = Watched()
    house.gpus["surtr"] = (CARD,)
    for _ in range(5):
        house.rest_of_minute()
    assert (house.count("surtr"), house.count("skadi")) == (1, 1)
    house.gpus["surtr"] = (replace(CARD, used_mb=5000),)
    for _ in range(5):  # a minute of both, one of the new figures, and silence
        house.rest_of_minute()
    assert (house.count("surtr"), house.count("skadi")) == (3, 1)


def test_a_host_at_work_has_a_row_of_every_minute() -> None:
    house = Watched()
    house.world.submit("code")
    for _ in range(5):
        house.rest_of_minute()
    assert (house.count("surtr"), house.count("skadi")) == (1, 5)


def test_a_host_that_is_gone_has_no_more_rows() -> None:
    house = Watched()
    house.world.submit("code")
    house.rest_of_minute()
    house.world.hosts = house.world.hosts[:1]
    house.world.end("t1")
    house.world.own()
    house.rest_of_minute()
    seen = house.count("skadi")
    house.rest_of_minute()
    house.rest_of_minute()
    assert house.count("skadi") == seen
