"""Which candidate is ranked best."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.world import COMPLETED, World, card, host, kind
from ygg.core import events as ev
from ygg.core.house import Track
from ygg.model import Candidate, Endpoint, GpuNeed, Health, Host, HostHealth, Lane, TaskType
from ygg.model import OutcomeKind as K
from ygg.telling.explain import explain

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
    world = one(VLLM, CPP)
    world.read("a", card(75))
    world.feed(ev.HostChecked("a", "cpp", Health(HostHealth.DOWN)))
    assert chosen(world) == "vllm m"


ONE_CPP = replace(CPP, slots=1)


@pytest.mark.parametrize(("used", "starts"), [(69, True), (71, False), (90, False)])
def test_from_high_on_vllm_gets_nothing_that_another_server_can_do(
    used: float, starts: bool
) -> None:
    world = one(VLLM, ONE_CPP)
    world.read("a", card(used))
    first, second = world.submit("general"), world.submit("general")
    assert world.calls[first].candidate.endpoint == "cpp"
    assert (second in world.calls) is starts
    if not starts:
        reasons = [r.text for r in explain(world.board, world.rows[second], world.now)]
        level = "HIGH" if used < 85 else "CRITICAL"
        assert f"a: memory pressure {level}, vLLM gets nothing new that a/cpp can do" in reasons
        world.end(first)
        assert world.calls[second].candidate.endpoint == "cpp"


def test_what_only_vllm_can_do_it_does_at_any_level() -> None:
    world = one(VLLM, ONE_CPP)
    world.read("a", card(75))
    world.feed(ev.HostChecked("a", "cpp", Health(HostHealth.DOWN)))
    assert chosen(world) == "vllm m"
    alone = one(VLLM)
    alone.read("a", card(75))
    assert chosen(alone) == "vllm m"


@pytest.mark.parametrize("how", ["down", "drained", "hot"])
def test_vllm_gets_a_waiting_task_as_soon_as_the_other_host_cannot_have_it(how: str) -> None:
    a, b = Host("a", 4, (VLLM,)), host("b", 1, ("m",))
    route = (Candidate("a", "vllm", "m"), Candidate("b", "main", "m"))
    world = World((a, b), {"general": TaskType("general", route)}, measured=("a", "b"))
    world.read("a", card(75))
    world.read("b", card(30))
    first, second = world.submit("general"), world.submit("general")
    assert world.calls[first].candidate.host == "b"
    assert second not in world.calls
    if how == "down":
        world.feed(ev.HostChecked("b", "main", Health(HostHealth.DOWN)))
    elif how == "drained":
        world.feed(ev.HostDrained("b", True))
    else:
        world.read("b", card(30, celsius=99))
    assert world.calls[second].candidate.host == "a"


def test_another_server_is_waited_for_though_it_has_to_change_models() -> None:
    ollama = Endpoint(
        "main", "ollama", "http://a:1", ("m", "x"), sizes={"m": 500.0, "x": 500.0}, slots=1
    )
    a = Host("a", 4, (VLLM, ollama))
    route = (Candidate("a", "vllm", "m"), Candidate("a", "main", "m"))
    types = {
        "general": TaskType("general", route),
        "x": TaskType("x", (Candidate("a", "main", "x"),)),
    }
    world = World((a,), types, measured=("a",))
    world.read("a", card(75), loaded=(("main", ("x",)), ("vllm", ("m",))))
    first = world.submit("x")
    task = world.submit("general")
    assert task not in world.calls
    world.pass_time(30)
    world.read("a", card(75), loaded=(("main", ("x",)), ("vllm", ("m",))))
    world.end(first)
    assert world.calls[task].candidate.endpoint == "main"


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
    assert text.startswith("general -> a small (GPU, ")
    assert text.endswith("; a: big needs 5.9 GB, 3.1 GB can be had")


# --- what decided -------------------------------------------------------------------------------------


def told(world: World, type_: str = "general", **lane: object) -> str:
    """What is logged of the start of a new task."""
    task = world.submit(type_, **lane)
    (text,) = [n.reason.text for n in world.notes if n.task_id == task]
    world.end(task)
    return text


def test_only_the_first_of_the_route_is_the_first_choice() -> None:
    world = one(OLLAMA)
    world.read("a", card(69))
    assert told(world).endswith(": first choice")
    world.read("a", card(75))
    assert told(world).endswith(": a smaller model at memory pressure HIGH")


def test_of_several_servers_of_a_host_the_one_is_named_and_what_chose_it() -> None:
    world = one(VLLM, CPP)
    world.read("a", card(30))
    assert told(world) == "general -> a/vllm m (GPU, waiting: 1 GPU, 0 CPU): first choice"
    world.read("a", card(55))
    assert told(world).startswith("general -> a/cpp m (GPU, ")
    assert told(world).endswith(": llama.cpp at memory pressure NORMAL")


def test_the_best_of_a_route_says_in_what_it_is_better() -> None:
    world = best("a", "b")
    for name in "ab":
        world.read(name, card(20))
    assert told(world).endswith(": first choice")
    world.board.tracks = {"a/main/m": Track(9000, 0.0), "b/main/m": Track(1000, 0.0)}
    assert told(world).endswith(": the quicker one of late")
    world.board.tracks = {"a/main/m": Track(1000, 0.6), "b/main/m": Track(1000, 0.0)}
    assert told(world).endswith(": the sounder one of late")
    world.board.tracks = {}
    world.read("b", card(20), loaded=(("main", ("m",)),))
    world.read("a", card(20), loaded=(("main", ()),))
    assert told(world).endswith(": its model is in memory")


B, V = Candidate("b", "main", "m"), Candidate("b", "vllm", "m")


@pytest.mark.parametrize(
    ("route", "server", "why"),
    [
        (
            (B._replace(model="big"), Candidate("a", "main", "m"), V),
            "b/vllm m",
            "its route names b earlier",
        ),
        ((B, B._replace(model="big"), V), "b/vllm m", "its route names m earlier"),
    ],
)
def test_a_route_that_comes_back_to_a_host_says_so(
    route: tuple[Candidate, ...], server: str, why: str
) -> None:
    b = Host("b", 1, (host("b", models=("m", "big")).endpoints[0], VLLM))
    world = World((host("a"), b), {"general": TaskType("general", route)})
    world.check_answer("b", HostHealth.DOWN)
    text = told(world)
    assert text.startswith(f"general -> {server} (GPU, ")
    assert text.endswith(f": {why}; b is down: down")


def test_of_one_kind_the_hosts_of_a_route_keep_their_order() -> None:
    """A host with servers of both kinds stands in the route once for each."""
    gpu, cpu = (
        Endpoint("g", "ollama", "http://a:1", ("m",)),
        Endpoint("c", "ollama", "http://a:2", ("m",)),
    )
    hosts = (
        Host("a", 2, (gpu, replace(cpu, kind="cpu"))),
        Host("b", 1, (replace(cpu, kind="cpu"),)),
    )
    route = tuple(Candidate(h, e, "m") for h, e in (("b", "c"), ("a", "c"), ("a", "g")))
    world = World(hosts, {"general": TaskType("general", route)})
    world.feed(ev.HostChecked("a", "g", Health(HostHealth.DOWN)))
    text = told(world, lane=Lane("general", gpu=GpuNeed.PREFERRED))
    assert text.startswith("general -> b m (CPU, ")


@pytest.mark.parametrize(
    ("lane", "where", "why"),
    [
        (Lane("general", gpu=GpuNeed.UNNEEDED), "c", "its task needs no GPU"),
        (Lane("general", gpu=GpuNeed.NEVER), "c", "its task needs no GPU"),
        (Lane("general", host="b"), "b", "its task asks for it"),
        (Lane("general"), "a", "first choice"),
        (Lane("slow", gpu=GpuNeed.PREFERRED), "a", "its task wants a GPU"),
        (Lane("slow", gpu=GpuNeed.UNNEEDED), "c", "first choice"),
    ],
)
def test_what_the_task_wants_is_what_decided(lane: Lane, where: str, why: str) -> None:
    hosts = (host("a"), host("b"), host("c", kind="cpu"))
    types = {"general": kind("general", "a", "b", "c"), "slow": kind("slow", "c", "a")}
    text = told(World(hosts, types), lane=lane)
    assert text.startswith(f"{lane.type} -> {where} m (")
    assert text.endswith(f": {why}")


def test_the_content_type_is_told_with_the_type() -> None:
    world = World((host("a"),), {"general": kind("general", "a")})
    task = world.submit("general", content_type="image/png")
    (text,) = [n.reason.text for n in world.notes if n.task_id == task]
    assert text.startswith("general, image/png -> a m (GPU, ")
