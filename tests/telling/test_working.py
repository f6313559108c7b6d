"""What is kept from one snapshot to the next: plans that are renewed when they are old, progress that never falls."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.world import World, card, host, kind
from tests.telling.test_rates import running
from ygg.core import events as ev
from ygg.model import Trend
from ygg.telling.working import EVERY_S, SOON_S, Worked


def test_progress_never_falls_though_answers_get_longer() -> None:
    worked = Worked(lengths={"x": 20})
    run = running(10, 5)
    assert worked.progress(run) == 50
    worked.told([replace(run, progress=50)])
    worked.lengths = {"x": 100}
    assert worked.progress(run) == 50
    assert worked.progress(replace(run, tokens=70)) == 70
    assert worked.progress(replace(run, attempt=2)) == 10, "another attempt begins anew"
    worked.told([])
    assert worked.progress(run) == 10


def test_a_plan_is_made_anew_when_it_is_old_and_sooner_where_tasks_came() -> None:
    world = World((host("a"),), {"general": kind("general", "a")})
    worked = Worked()
    first = worked.plan(world.board, world.now)
    world.mono += SOON_S
    assert worked.plan(world.board, world.now) is first, "nothing has changed"
    world.feed(ev.DispatchPaused(True))
    world.submit("general")
    second = worked.plan(world.board, world.now)
    assert second is not first
    world.submit("general")
    assert worked.plan(world.board, world.now) is second, "not with each submit"
    world.mono += EVERY_S
    assert worked.plan(world.board, world.now) is not second


def test_a_trend_is_how_far_readings_moved_within_the_last_minute() -> None:
    world = World((host("a"),), {"general": kind("general", "a")}, measured=("a",))
    worked = Worked()
    for degrees in (60.0, 62.0, 66.0, 66.0):
        world.mono += 25
        world.read("a", card(degrees, degrees))
        worked.renew(world.board, [], world.now)
    trend = worked.trend("a")
    assert trend.temperature_c == 4.0, "the first is older than a minute"
    assert trend.used_mb == pytest.approx(0.04 * 8192)
    world.mono += 1000
    worked.renew(world.board, [], world.now)
    assert worked.trend("a") == worked.trend("unheard") == Trend()
