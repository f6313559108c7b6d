"""Which model a server is asked for, and what is told of its answer."""

from __future__ import annotations

import pytest

from ygg.model import Endpoint, Health, Host, HostHealth, JsonDict
from ygg.ops.doctor.answers import choose, full
from ygg.ops.doctor.hosts import Server

GB = 10**9


def server(*models: str, wanted: tuple[str, ...] = (), **fields: object) -> Server:
    endpoint = Endpoint("main", "ollama", "http://a:1", models, **fields)  # type: ignore[arg-type]
    return Server(Host("a", 1, (endpoint,)), endpoint, {model: ["general"] for model in wanted})


def health(*models: str, loaded: tuple[str, ...] | None = ()) -> Health:
    return Health(HostHealth.UP, models=models, loaded=loaded)


@pytest.mark.parametrize(
    ("loaded", "sizes", "model", "is_loaded"),
    [
        (("big",), {"big:latest": 9 * GB, "small:latest": GB}, "big", True),
        (("big", "small"), {"big:latest": 9 * GB, "small:latest": GB}, "small", True),
        ((), {"big:latest": 9 * GB, "small:latest": GB}, "small", False),
        ((), {"small:latest": GB}, "small", False),
        ((), {}, "big", False),
        (None, {}, "big", False),
        (("foreign",), {"foreign:latest": 1, "big:latest": 9 * GB}, "big", False),
    ],
)
def test_a_model_in_memory_else_the_smallest_else_the_first(
    loaded: tuple[str, ...] | None, sizes: dict[str, float], model: str, is_loaded: bool
) -> None:
    choice = choose(server("big", "small"), health("big", "small", loaded=loaded), sizes)
    assert (choice.model, choice.loaded) == (model, is_loaded)


def test_models_of_routes_go_first() -> None:
    choice = choose(server("listed", wanted=("routed",)), health("listed", "routed"), {})
    assert choice.model == "routed"


def test_a_model_that_is_not_there_is_not_asked_for_while_another_is() -> None:
    assert choose(server("gone", "there"), health("there"), {}).model == "there"
    assert choose(server("gone"), health("there"), {}).model == "gone"


def test_a_server_whose_models_hosts_yaml_does_not_name_is_asked_for_what_it_has() -> None:
    assert choose(server(), health("one", "two"), {"two": 1.0}).model == "two"
    assert choose(server(), Health(HostHealth.UP), {}).model == ""


def told(free: int, busy: int, *endpoints: tuple[str, int, int]) -> JsonDict:
    """A host as the daemon tells it; of its endpoints the name, the limit and what is in flight."""
    below = [{"name": n, "limit": most, "in_flight": inside} for n, most, inside in endpoints]
    return {"in_flight": busy, "ghosts": 0, "available_slots": free, "endpoints": below}


@pytest.mark.parametrize(
    ("host", "is_full"),
    [
        (None, False),
        (told(1, 0), False),
        (told(0, 1), True),
        (told(0, 0), False),  # drained, or too hot: it may be asked
        (told(2, 1, ("main", 1, 1), ("other", 2, 0)), True),
        (told(2, 1, ("main", 1, 0), ("other", 2, 1)), False),
    ],
)
def test_a_server_is_left_alone_while_tasks_have_its_slots(
    host: JsonDict | None, is_full: bool
) -> None:
    assert full(host, "main") is is_full
