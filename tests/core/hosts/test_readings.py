"""What readings change beside the limit: foreign memory, what is loaded, who is watched."""

from __future__ import annotations

import itertools
from dataclasses import replace

from tests.core.world import COMPLETED, World, card, host, kind
from ygg.core import events as ev
from ygg.model import (
    Device,
    Endpoint,
    Health,
    HostHealth,
    Level,
    Policy,
    Process,
    ReasonCode,
    Telemetry,
)
from ygg.telling.explain import explain

GAME = Process(2, "/games/doom", 0.75 * 8192)


def measured(slots: int = 4, **fields: object) -> World:
    one = replace(host("a", slots), **fields)  # type: ignore[arg-type]
    return World((one,), {"general": kind("general", "a")}, measured=("a",))


def ours(mb: float) -> Process:
    return Process(1, "/usr/bin/ollama runner", mb)


def steady(world: World, seconds: float, *devices: Device, **more: object) -> None:
    for _ in range(round(seconds / 2)):
        world.pass_time(2)
        world.read("a", *devices, **more)


def limit(world: World) -> int:
    return world.board.hosts["a"].limit


# --- foreign memory -------------------------------------------------------------------------------------


def test_a_game_shrinks_the_slots_and_our_own_models_do_not() -> None:
    for processes, left in (((ours(7000),), 4), ((ours(500), GAME), 1)):
        world = measured()
        world.read("a", card(90), processes=processes, loaded=(("main", ("m",)),))
        assert limit(world) == left, processes


def test_foreign_memory_is_learned_where_no_process_is_named() -> None:
    world = measured()
    world.submit("general")
    loaded = (("main", ("m",)),)
    steady(world, 40, card(40), loaded=loaded)
    assert limit(world) == 4
    steady(world, 4, card(80), loaded=loaded)
    assert limit(world) == 4, "two readings could be a model that the server has not told of"
    steady(world, 2, card(80), loaded=loaded)
    assert limit(world) == 3  # 40 of 100 % are others': ceil(4 x 0.6)
    steady(world, 32, card(40), loaded=loaded)
    assert limit(world) == 4


def test_a_model_that_was_just_loaded_is_not_taken_for_a_game() -> None:
    world = measured()
    world.feed(ev.DispatchPaused(True))
    world.submit("general")  # somebody else loads the model
    steady(world, 40, card(10), loaded=(("main", ()),))
    for used in (10, 10, 20, 40, 60, *[80] * 30):  # it is told at once, and takes a while
        steady(world, 2, card(used), loaded=(("main", ("m",)),))
    assert limit(world) == 4
    assert world.board.hosts["a"].condition.foreign_mb == 0


def test_a_configured_size_tells_what_is_ours_before_anything_was_learned() -> None:
    end = Endpoint("main", "ollama", "http://a:1", ("m",), sizes={"m": 0.4 * 8192})
    world = measured(endpoints=(end,))
    world.submit("general")
    steady(world, 60, card(80), loaded=(("main", ("m",)),))
    assert limit(world) == 3


def test_what_was_learned_too_low_is_forgotten() -> None:
    world = measured()
    world.submit("general")
    loaded = (("main", ("m",)),)
    steady(world, 40, card(20), loaded=loaded)
    steady(world, 10, card(60), loaded=loaded)
    assert limit(world) == 3
    steady(world, 40 / 0.5 * 60, card(60), loaded=loaded)
    assert limit(world) == 4


def test_a_dip_between_two_answers_of_the_server_teaches_nothing() -> None:
    world = measured()
    world.submit("general")
    loaded = (("main", ("m",)),)
    steady(world, 40, card(60), loaded=loaded)
    steady(world, 4, card(5), loaded=loaded)
    steady(world, 60, card(60), loaded=loaded)
    assert limit(world) == 4


def test_a_server_that_does_not_tell_what_is_loaded_is_not_taken_for_a_game() -> None:
    world = measured()
    world.submit("general")
    steady(world, 60, card(5))
    steady(world, 60, card(90))
    assert limit(world) == 4


def test_a_server_that_restarts_teaches_nothing_wrong() -> None:
    world = measured()
    world.submit("general")
    loaded = (("main", ("m",)),)
    steady(world, 40, card(60), loaded=loaded)
    world.check_answer("a", HostHealth.DOWN)
    steady(world, 40, card(5))
    world.check_answer("a", HostHealth.UP)
    steady(world, 60, card(60), loaded=loaded)
    assert limit(world) == 4


# --- levels and views -----------------------------------------------------------------------------------


def test_every_change_of_level_and_limit_is_told_once() -> None:
    world = measured()
    for used in (40, 72, 69):
        steady(world, 10, card(used), processes=(ours(used / 100 * 8192),))
    texts = [n.reason.text for n in world.notes if n.reason.code is ReasonCode.LEVEL]
    assert texts == ["a: memory pressure HIGH, 72 % used"]
    assert world.board.hosts["a"].condition.level is Level.HIGH


def test_why_names_the_heat_that_keeps_a_task_waiting() -> None:
    world = measured()
    world.read("a", card(celsius=91))
    task = world.submit("general")
    reason = explain(world.board, world.rows[task], world.now)[0]
    assert reason.code is ReasonCode.HOST_HOT
    assert reason.text == (
        "a takes no new start: too hot: 91 °C; starts again at 80 °C or less for 30 s"
    )


def test_why_names_what_took_the_slots_of_a_full_host() -> None:
    world = measured(2)
    world.read("a", card(celsius=82))
    world.submit("general")
    waiting = world.submit("general")
    reasons = explain(world.board, world.rows[waiting], world.now)
    assert reasons[1].text == (
        "a: 1 of 1 slot busy, 2 configured (82 °C; all slots again at 65 °C or less)"
    )


# --- emergencies --------------------------------------------------------------------------------------


def test_a_full_card_is_relieved_of_models_that_no_call_uses() -> None:
    world = measured()
    world.read("a", card(50), loaded=(("main", ("m", "idle")),))
    world.submit("general")
    world.read("a", card(96), loaded=(("main", ("m", "idle")),))
    assert [(e.endpoint, e.model) for e in world.unloads] == [("main", "idle")]
    steady(world, 28, card(96))
    assert len(world.unloads) == 1, "not again within half a minute"
    world.feed(ev.ModelUnloaded("a", "main", "idle", True))
    assert world.board.hosts["a"].servers["main"].loaded == {"m"}
    assert world.notes[-1].reason.text == "a: idle unloaded to free memory"


def test_an_unload_that_failed_is_told_and_tried_again() -> None:
    world = measured()
    world.submit("general")
    world.read("a", card(96), loaded=(("main", ("idle",)),))
    world.feed(ev.ModelUnloaded("a", "main", "idle", False, "500"))
    assert world.notes[-1].reason.text == "a: idle could not be unloaded 500"
    steady(world, 32, card(96))
    assert len(world.unloads) == 2


def test_a_model_is_unloaded_when_the_last_call_with_it_ends_though_others_were_just_before() -> (
    None
):
    world = measured()
    world.read("a", card())
    task = world.submit("general")
    world.read("a", card(96), loaded=(("main", ("idle", "m")),))
    assert [u.model for u in world.unloads] == ["idle"]
    steady(world, 4, card(96), loaded=(("main", ("m",)),))
    assert len(world.unloads) == 1, "a call uses it"
    world.end(task)
    assert [u.model for u in world.unloads] == ["idle", "m"]


# --- what is loaded -------------------------------------------------------------------------------------


def test_health_checks_readings_and_our_own_calls_tell_what_is_loaded() -> None:
    world = measured()
    server = world.board.hosts["a"].servers["main"]
    world.feed(ev.HostChecked("a", "main", Health(HostHealth.UP, loaded=("x",))))
    assert server.loaded == {"x"}
    world.read("a", card(), loaded=(("main", ("x", "y")),))
    assert server.loaded == {"x", "y"}
    world.submit("general")
    assert server.loaded == {"x", "y", "m"}


# --- who is watched -------------------------------------------------------------------------------------


def test_a_host_is_watched_from_the_start_and_rests_after_a_minute_without_work() -> None:
    world = measured()
    assert world.watched == {"a"}
    world.pass_time(55)
    assert world.watched == {"a"}
    world.pass_time(10)
    assert world.watched == set()


def test_work_that_runs_or_waits_keeps_a_host_watched() -> None:
    world = measured(1)
    first, second = world.submit("general"), world.submit("general")
    world.read("a", card())
    world.pass_time(200)
    assert world.watched == {"a"}
    for task in (first, second):
        world.read("a", card())
        world.end(task, COMPLETED)
    world.pass_time(70)
    assert world.watched == set()


def test_after_a_rest_one_reading_comes_before_the_first_start() -> None:
    world = measured()
    world.read("a", card())
    world.pass_time(300)
    task = world.submit("general")
    assert world.watched == {"a"}
    assert task not in world.calls
    reason = explain(world.board, world.rows[task], world.now)[0]
    assert reason.code is ReasonCode.MEASURING
    world.read("a", card(celsius=90))
    assert task not in world.calls, "it got hot while nobody looked"
    steady(world, 60, card(celsius=40))
    assert task in world.calls


def test_a_reading_that_does_not_come_after_a_rest_does_not_stop_the_work() -> None:
    for failure in (None, "no route to host"):
        world = measured()
        world.read("a", card())
        world.pass_time(300)
        tasks = [world.submit("general") for _ in range(2)]
        if failure:
            world.feed(ev.ReadingMissed("a", "ssh", failure))
        else:
            world.pass_time(11)
        assert list(world.calls) == tasks[:1], "one slot, as long as nothing is known"


def test_a_host_that_was_too_hot_when_it_went_to_rest_is_not_stuck() -> None:
    world = measured()
    world.read("a", card(celsius=95))
    world.pass_time(300)
    task = world.submit("general")
    steady(world, 40, card(celsius=40))
    assert task in world.calls


def test_a_drained_host_is_left_alone() -> None:
    world = measured()
    world.feed(ev.HostDrained("a", True))
    world.submit("general")
    world.pass_time(70)
    assert world.watched == set()
    world.feed(ev.HostDrained("a", False))
    assert world.watched == {"a"}


def test_idle_hosts_are_looked_at_as_often_as_configured() -> None:
    world = measured(telemetry=Telemetry(idle_interval_s=120))
    world.read("a", card())
    seen = []
    for _ in range(300):
        world.pass_time(2)
        if "a" in world.watched:
            world.read("a", card())
            seen.append(world.mono)
    gaps = [b - a for a, b in itertools.pairwise(seen) if b - a > 10]
    assert len(gaps) == 4
    assert all(120 <= gap <= 130 for gap in gaps)


def test_a_probe_that_comes_or_goes_with_the_configuration_is_followed() -> None:
    world = measured()
    world.read("a", card(celsius=90))
    world.feed(ev.HostsOwned(world.hosts, world.types, world.policy))
    world.submit("general")
    assert len(world.calls) == 1, "nothing measures it any more"
    world.feed(ev.HostsOwned(world.hosts, world.types, world.policy, {"a": True}))
    assert "a" in world.watched


def test_a_host_whose_probes_only_tell_what_is_loaded_is_watched_and_never_limited() -> None:
    world = measured()
    world.feed(ev.HostsOwned(world.hosts, world.types, world.policy, {"a": False}))
    world.pass_time(300)
    assert world.watched == set()
    assert world.submit("general") in world.calls, "no reading is awaited"
    assert world.watched == {"a"}
    world.read("a", loaded=(("main", ("m", "x")),))
    assert world.board.hosts["a"].servers["main"].loaded == {"m", "x"}
    world.pass_time(300)
    assert limit(world) == 4


def test_readings_of_a_host_that_left_are_ignored() -> None:
    world = measured()
    world.read("gone", card())
    world.feed(ev.ReadingMissed("gone", "nvml", "x"))
    world.feed(ev.ModelUnloaded("gone", "main", "m", True))
    assert world.board.hosts.keys() == {"a"}


def test_a_model_that_others_left_no_room_for_starts_once_nothing_is_known_of_them() -> None:
    server = Endpoint("main", "ollama", "http://a:1", ("m",), sizes={"m": 5000.0})
    world = measured(1, endpoints=(server,))
    world.policy = Policy(poll_s=300, check_every_s=300)
    world.own()
    world.pass_time(3)  # so that the next poll is far
    world.read("a", card(90), processes=(GAME,))
    task = world.submit("general")
    assert world.started == []
    world.pass_time(world.hosts[0].telemetry.stale_s + 1)
    assert (limit(world), world.started) == (1, [task])
