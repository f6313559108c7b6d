"""What readers see of hosts is what dispatch would do with them now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.world import World, card, host, kind
from ygg.core import events as ev
from ygg.core.hosts import pressure
from ygg.model import Candidate, Endpoint, Health, HostHealth, HostView, Level, Outcome, Reading
from ygg.model import OutcomeKind as K
from ygg.model.snapshot import memory_of
from ygg.telling.snapshotting import host_views


def world(*endpoints: Endpoint, slots: int = 2, measured: bool = False) -> World:
    one = host("a", slots)
    one = replace(one, endpoints=endpoints) if endpoints else one
    type_ = replace(
        kind("general", "a"), route=tuple(Candidate("a", e.name, "m") for e in one.endpoints)
    )
    return World((one,), {"general": type_}, measured=("a",) if measured else ())


def view(found: World) -> HostView:
    (told,) = host_views(found.board, found.now)
    return told


def failed(kind_: K) -> World:
    found = world()
    task = found.submit("general")
    assert view(found).free == 1
    found.end(task, Outcome(kind_, "no", retry_after_s=20.0))
    return found


@pytest.mark.parametrize("kind_", [K.UNREACHABLE, K.UNAUTHORIZED, K.BUSY])
def test_a_host_that_takes_no_call_has_no_free_slot(kind_: K) -> None:
    assert view(failed(kind_)).free == 0


def test_a_drained_host_has_no_free_slot() -> None:
    found = world()
    found.feed(ev.HostDrained("a", True))
    assert view(found).free == 0


def test_a_host_too_hot_for_a_start_has_no_free_slot() -> None:
    found = world(measured=True)
    found.read("a", card(celsius=91))
    assert (view(found).limit, view(found).free) == (0, 0)


def test_a_slot_that_a_call_left_behind_is_not_free() -> None:
    found = world(slots=1)
    found.end(found.submit("general"), Outcome(K.TIMEOUT, "no", abandoned=True))
    assert (view(found).ghosts, view(found).free) == (1, 0)


def test_of_two_servers_the_one_that_is_down_offers_nothing() -> None:
    ends = [Endpoint(n, "ollama", f"http://{n}", ("m",), slots=2) for n in ("x", "y")]
    found = world(*ends, slots=3)
    assert [e.free for e in view(found).endpoints] == [2, 2]
    assert view(found).free == 3
    found.end(found.submit("general"), Outcome(K.UNREACHABLE, "no"))
    assert [e.free for e in view(found).endpoints] == [0, 1], "it goes on at the other one"
    assert view(found).free == 1


def test_a_dead_servers_slots_are_not_the_hosts() -> None:
    ends = [
        Endpoint("x", "ollama", "http://x", ("m",), slots=1),
        Endpoint("y", "ollama", "http://y", ("m",), slots=4),
    ]
    found = world(*ends, slots=4)
    found.feed(ev.HostChecked("a", "y", Health(HostHealth.DOWN, message="gone")))
    assert view(found).free == 1


def test_a_host_is_busy_once_all_its_servers_are_and_until_the_first_is_not() -> None:
    servers = (
        Endpoint("ollama", "ollama", "http://a:1", ("m",)),
        Endpoint("llama", "openai", "http://a:2", ("m",), "llama.cpp"),
    )
    found = world(*servers)
    task = found.submit("general")
    for pause in (20.0, 50.0):
        assert view(found).busy_until_ms is None
        found.end(task, Outcome(K.BUSY, "later", retry_after_s=pause))
    at = found.now.wall_ms
    ends = [e.busy_until_ms for e in view(found).endpoints]
    assert ends == [at + 20_000, at + 50_000]
    assert view(found).busy_until_ms == at + 20_000


def test_memory_is_told_of_the_cards_that_pressure_is_measured_on() -> None:
    found, silent = world(measured=True), replace(card(50), uuid="GPU-2", free_mb=None)
    found.feed(ev.ReadingTaken("a", Reading("nvml", (card(97), silent))))
    told, measured = memory_of(view(found).gpus), pressure.memory_of((card(97), silent))
    assert told == measured is not None
    assert found.board.hosts["a"].condition.level is Level.CRITICAL
