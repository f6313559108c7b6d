"""Which candidate is ranked best."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.world import COMPLETED, World, card, host, kind
from ygg.core.house import Track
from ygg.model import Candidate, Endpoint, Host, TaskType
from ygg.model import OutcomeKind as K

SIZES = {"big": 6000.0, "small": 1000.0}
VLLM = Endpoint("vllm", "openai", "http://a:8000", ("m",), dialect="vllm")
CPP = Endpoint("cpp", "openai", "http://a:8080", ("m",), dialect="llama.cpp")
OLLAMA = Endpoint("main", "ollama", "http://a:1", ("big", "small"), sizes=SIZES)


def chosen(world: World, type_: str = "general") -> str:
    """Where a new task goes: endpoint and model, or host when there are several."""
    task = world.submit(type_)
    where = world.calls[task].candidate
    world.end(task)
    several = len(world.hosts) > 1
    return where.host if several else f"{where.endpoint} {where.model}"


def one(*endpoints: Endpoint, choose: str = "order") -> World:
    a = Host("a", 4, endpoints)
    route = tuple(Candidate("a", e.name, m) for e in endpoints for m in e.models)
    return World((a,), {"general": TaskType("general", route, choose=choose)}, measured=("a",))


@pytest.mark.parametrize(
    ("used", "server"), [(30, "vllm m"), (55, "cpp m"), (75, "cpp m"), (90, "cpp m")]
)
def test_vllm_at_low_pressure_and_llama_cpp_above(used: float, server: str) -> None:
    for endpoints in ((VLLM, CPP), (CPP, VLLM)):
        world = one(*endpoints)
        world.read("a", card(used))
        assert chosen(world) == server


def test_the_other_server_is_used_when_the_preferred_one_is_down() -> None:
    from ygg.core import events as ev
    from ygg.model import Health, HostHealth

    world = one(VLLM, CPP)
    world.read("a", card(75))
    world.feed(ev.HostChecked("a", "cpp", Health(HostHealth.DOWN)))
    assert chosen(world) == "vllm m"


def test_at_high_pressure_the_largest_model_comes_last() -> None:
    world = one(OLLAMA)
    world.read("a", card(69))
    assert chosen(world) == "main big"
    world = one(OLLAMA)
    world.read("a", card(72))
    assert chosen(world) == "main small"


def test_the_hosts_of_a_route_keep_their_order_whatever_is_loaded_or_quick() -> None:
    world = World((host("a"), host("b")), {"general": kind("general", "b", "a")})
    for _ in range(5):
        world.board.tracks[f"{'b'}/main/m"] = Track(90_000, 0.5)
        assert chosen(world) == "b"


def best(*hosts: str) -> World:
    types = {
        "general": TaskType(
            "general", tuple(Candidate(h, "main", "m") for h in hosts), choose="best"
        )
    }
    return World(tuple(host(h, 2) for h in sorted(hosts)), types, measured=hosts)


def test_best_prefers_what_is_loaded_then_what_is_quick_then_what_is_sound() -> None:
    world = best("a", "b")
    for name in "ab":
        world.read(name, card(20))
    assert chosen(world) == "a", "all equal: the order of the route"
    world.read("a", card(20), loaded=(("main", ()),))
    world.read("b", card(20), loaded=(("main", ("m",)),))
    assert chosen(world) == "b"
    world.read("a", card(20), loaded=(("main", ("m",)),))
    world.board.tracks = {
        "a/main/m": Track(9000, 0.0), "b/main/m": Track(1000, 0.0)
    }  # fmt: skip
    assert chosen(world) == "b"
    world.board.tracks = {
        "a/main/m": Track(1000, 0.0), "b/main/m": Track(1000, 0.6)
    }  # fmt: skip
    assert chosen(world) == "a"


def test_runs_and_failures_are_remembered_newer_ones_more() -> None:
    world = World((host("a"),), {"general": kind("general", "a")})
    for seconds in (10, 10, 10, 10, 1):
        task = world.submit("general")
        world.mono += seconds
        world.end(task, COMPLETED)
    track = world.board.tracks["a/main/m"]
    assert 8000 < track.mean_ms < 8300
    assert track.failing == 0
    world.fail(world.submit("general"), K.ERROR)
    assert track.failing == pytest.approx(0.2)
    mean = track.mean_ms
    world.pass_time(60)
    world.fail(next(iter(world.calls)), K.CANCELLED)
    assert (track.failing, track.mean_ms) == (pytest.approx(0.2), mean)


def test_a_decision_names_what_stood_against_every_better_candidate() -> None:
    world = one(OLLAMA)
    world.read("a", card(10), loaded=(("main", ()),), processes=())
    host = world.board.hosts["a"]
    host.condition = replace(host.condition, foreign_mb=5000)
    task = world.submit("general")
    (text,) = [n.reason.text for n in world.notes if n.task_id == task]
    assert text.startswith("a small")
    assert text.endswith("; a: big needs 5.9 GB, 3.1 GB can be had")
