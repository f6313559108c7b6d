"""Which models fit on a host."""

from __future__ import annotations

import pytest

from tests.core.world import World, card, kind
from ygg.core.hosts import models
from ygg.model import Candidate, Endpoint, Host, Process, ReasonCode, TaskType, Telemetry
from ygg.telling.explain import explain

GB = 1024.0
SIZES = {"small": 1 * GB, "middle": 4 * GB, "big": 6 * GB, "huge": 9 * GB}
OLLAMA = Endpoint("main", "ollama", "http://a:1", tuple(SIZES), sizes=SIZES)
GAME = Process(9, "doom", 5 * GB)


def house(*endpoints: Endpoint, telemetry: Telemetry | None = None) -> World:
    one = Host("a", 4, endpoints or (OLLAMA,), telemetry=telemetry or Telemetry())
    types = {m: TaskType(m, (Candidate("a", e.name, m),)) for e in one.endpoints for m in e.models}
    types["general"] = kind("general", "a", model="small")
    return World((one,), types, measured=("a",))


def ours(mb: float) -> Process:
    return Process(1, "ollama", mb)


def read(world: World, used_mb: float, loaded: tuple[str, ...], *processes: Process) -> None:
    world.read(
        "a", card(100 * used_mb / 8192), loaded=(("main", loaded),), processes=processes or None
    )


def first(world: World, type_: str) -> ReasonCode | None:
    """What keeps a new task of this type waiting; None when it started."""
    task = world.submit(type_, 0)
    if task in world.calls:
        world.end(task)
        return None
    return explain(world.board, world.rows[task], world.now)[0].code


def test_what_is_larger_than_the_card_never_starts_and_says_so() -> None:
    world = house()
    read(world, 300, ())
    task = world.submit("huge")
    assert task not in world.calls
    reason = explain(world.board, world.rows[task], world.now)[0]
    assert reason.code is ReasonCode.MODEL_TOO_LARGE
    assert reason.text == "a: huge needs 9.0 GB, 8.0 GB can be had"
    assert first(world, "big") is None


def test_idle_models_make_room_and_a_game_does_not() -> None:
    world = house()
    read(world, 4500, ("middle",), ours(4100))
    assert first(world, "big") is None
    world = house()
    read(world, 5300, (), GAME)
    assert first(world, "big") is ReasonCode.MODEL_TOO_LARGE
    assert first(world, "small") is None


def test_a_model_in_memory_fits_whatever_the_sizes_say() -> None:
    world = house()
    read(world, 7000, ("huge",), ours(6900))
    assert first(world, "huge") is None


def test_what_another_server_keeps_in_memory_is_not_to_be_had() -> None:
    fixed = Endpoint("cpp", "openai", "http://a:2", ("fixed",), sizes={"fixed": 5 * GB})
    world = house(OLLAMA, fixed)
    world.read("a", card(70), loaded=(("main", ()), ("cpp", ("fixed",))), processes=(ours(5500),))
    assert first(world, "middle") is ReasonCode.MODEL_TOO_LARGE
    assert first(world, "small") is None
    assert first(world, "fixed") is None


def test_at_critical_only_the_smallest_model_is_loaded() -> None:
    world = house()
    game = Process(9, "doom", 7 * GB)
    world.read("a", card(88), loaded=(("main", ()),), processes=(game,))
    assert first(world, "small") is ReasonCode.MODEL_TOO_LARGE  # 0.96 GB are left for 1 GB
    tiny = Endpoint(
        "main", "ollama", "http://a:1", ("tiny", "less"), sizes={"tiny": 300, "less": 500}
    )
    world = house(tiny)
    world.read("a", card(88), loaded=(("main", ()),), processes=(game,))
    world.types["general"] = world.types["tiny"]
    assert first(world, "less") is ReasonCode.MODEL_HELD_BACK
    assert first(world, "tiny") is None


def test_a_full_card_of_idle_models_holds_nothing_back() -> None:
    world = house()
    read(world, 7400, ("big",), ours(7200))
    assert first(world, "middle") is None


def test_a_card_that_nobody_reads_has_the_memory_of_hosts_yaml() -> None:
    one = Host("a", 4, (OLLAMA,), telemetry=Telemetry(source="static", memory_mb=5 * GB))
    types = {m: TaskType(m, (Candidate("a", "main", m),)) for m in SIZES}
    world = World((one,), {**types, "general": types["small"]})
    assert first(world, "big") is ReasonCode.MODEL_TOO_LARGE
    assert first(world, "middle") is None


def test_a_model_of_unknown_size_is_left_to_its_server() -> None:
    world = house(Endpoint("main", "ollama", "http://a:1", ("x", "small"), sizes={"small": GB}))
    read(world, 7000, (), GAME)
    assert first(world, "x") is None


@pytest.mark.parametrize(
    ("endpoint", "changes"),
    [
        (OLLAMA, True),
        (Endpoint("m", "ollama", "u", ("one",)), False),
        (Endpoint("m", "openai", "u", ("a", "b"), dialect="llama.cpp"), True),
        (Endpoint("m", "openai", "u", ("a", "b"), dialect="vllm"), False),
    ],
)
def test_which_servers_change_models_on_demand(endpoint: Endpoint, changes: bool) -> None:
    assert models.swaps(endpoint) is changes
