"""GPU or CPU: which kind of host takes a task."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.world import START_MS, World, card, host, kind
from tests.sizes import examples
from ygg.core import effects as fx
from ygg.core import events as ev
from ygg.core.placement import kinds, lanes
from ygg.core.placement.rounds import Queues, Round
from ygg.model import (
    Candidate,
    Counts,
    Endpoint,
    GpuNeed,
    Head,
    Host,
    HostHealth,
    Lane,
    Policy,
    Priority,
    ReasonCode,
    Task,
    Telemetry,
)
from ygg.model import OutcomeKind as K
from ygg.model import State as S
from ygg.telling.explain import explain
from ygg.telling.pacing import Plan
from ygg.telling.snapshotting import snapshot

PREFERRED, REQUIRED = Lane("general"), Lane("general", gpu=GpuNeed.REQUIRED)
NEVER, UNNEEDED = Lane("general", gpu=GpuNeed.NEVER), Lane("general", gpu=GpuNeed.UNNEEDED)


def mixed(
    gpus: int = 1,
    cpus: int = 1,
    slots: int = 1,
    measured: tuple[str, ...] = (),
    **policy: object,
) -> World:
    """Hosts `cpu1` … and `gpu1` …, all on one route, the CPU hosts first in it."""
    hosts = [host(f"cpu{n + 1}", slots, kind="cpu") for n in range(cpus)]
    hosts += [host(f"gpu{n + 1}", slots) for n in range(gpus)]
    types = {"general": kind("general", *(h.name for h in hosts))}
    rules = Policy(**policy)  # type: ignore[arg-type]
    return World(tuple(hosts), types, rules, measured=measured)


def submit(world: World, lane: Lane, count: int = 1, priority: int = 2) -> list[str]:
    return [world.submit(lane=lane, priority=priority) for _ in range(count)]


def why(world: World, task: str) -> tuple[ReasonCode, str]:
    reason = explain(world.board, world.rows[task], world.now)[0]
    return reason.code, reason.text


# --- what a task needs ------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "content", "expected"), [
    ("preferred", None, "preferred"),
    ("preferred", "", "preferred"),
    ("preferred", "audio", "preferred"),
    ("preferred", "audio/mpeg", "preferred"),
    ("preferred", "Text/Plain; charset=utf-8", "preferred"),
    ("preferred", "pdf", "unneeded"),
    ("preferred", "application/pdf", "unneeded"),
    ("preferred", "audiobook", "unneeded"),
    ("required", "pdf", "required"),
    ("never", "audio", "never"),
])  # fmt: skip
def test_only_content_that_profits_prefers_a_gpu(
    said: str, content: str | None, expected: str
) -> None:
    assert kinds.needed(said, content, Policy().gpu_content_types) == expected


def test_the_content_types_that_profit_are_configurable() -> None:
    assert kinds.needed("preferred", "application/pdf", ("Application/PDF",)) == "preferred"
    assert kinds.needed("preferred", None, ("audio",)) == "unneeded", "no content named is text"


# --- the wanted kind first --------------------------------------------------------------------------


def test_a_gpu_comes_first_whatever_the_order_of_the_route() -> None:
    world = mixed()
    (task,) = submit(world, PREFERRED)
    assert world.rows[task].host == "gpu1"


def test_a_gpu_comes_first_however_the_route_is_ranked() -> None:
    world = mixed(overflow_margin=0)
    world.types["general"] = replace(world.types["general"], choose="best")
    world.own()
    world.board.hosts["cpu1"].servers["main"].loaded = frozenset({"m"})
    world.board.hosts["gpu1"].servers["main"].loaded = frozenset()
    world.feed(ev.DispatchPaused(True))
    tasks = submit(world, PREFERRED, 3)
    world.feed(ev.DispatchPaused(False))
    assert [world.rows[t].host for t in tasks] == ["gpu1", "cpu1", None]


def test_what_does_not_profit_leaves_an_idle_gpu_alone_however_long_its_queue() -> None:
    world = mixed(overflow_margin=1)
    world.feed(ev.DispatchPaused(True))
    urgent = submit(world, UNNEEDED, 2, priority=0)
    waiting = submit(world, PREFERRED, 9)
    world.feed(ev.DispatchPaused(False))
    assert [world.rows[t].host for t in urgent] == ["cpu1", None]
    assert world.running_on("gpu1") == waiting[:1]


def test_within_one_kind_the_route_keeps_its_order() -> None:
    world = mixed(gpus=2, cpus=2)
    on = [world.rows[t].host for t in (*submit(world, UNNEEDED, 2), *submit(world, PREFERRED, 2))]
    assert on == ["cpu1", "cpu2", "gpu1", "gpu2"]


def test_a_full_gpu_host_is_waited_for() -> None:
    world = mixed()
    first, *waiting = submit(world, PREFERRED, 6)
    assert [world.rows[t].host for t in waiting] == [None] * 5
    assert world.running_on("cpu1") == []
    world.end(first)
    assert world.rows[waiting[0]].host == "gpu1"


def test_the_reason_names_the_queues_of_both_kinds() -> None:
    world = mixed(cpus=2)
    submit(world, NEVER, 5)
    *_, last = submit(world, PREFERRED, 4)
    code, text = why(world, last)
    assert code is ReasonCode.GPU_PREFERRED
    assert "tasks waiting for one 3, for a CPU 3" in text
    codes = [r.code for r in explain(world.board, world.rows[last], world.now)[1:]]
    assert codes == [ReasonCode.HOST_FULL, ReasonCode.GPU_PREFERRED, ReasonCode.GPU_PREFERRED]


def test_a_cpu_host_that_is_down_is_not_said_to_be_kept() -> None:
    world = mixed()
    world.check_answer("cpu1", HostHealth.DOWN)
    first, second = submit(world, PREFERRED, 2)
    assert why(world, second)[0] is ReasonCode.HOST_FULL
    assert first in world.calls


def unusable(world: World, how: str) -> None:
    """Make `gpu1` unusable in one of the ways there are."""
    match how:
        case "down":
            world.check_answer("gpu1", HostHealth.DOWN)
        case "unauthorized":
            world.check_answer("gpu1", HostHealth.UNAUTHORIZED)
        case "drained":
            world.feed(ev.HostDrained("gpu1", True))
        case "hot":
            world.read("gpu1", card(celsius=95))
        case "full":
            world.read("gpu1", card(used=99))


WAYS = ("down", "unauthorized", "drained", "hot", "full")


def measured() -> World:
    world = mixed(measured=("gpu1",))
    world.read("gpu1", card())
    return world


@pytest.mark.parametrize("how", WAYS)
def test_a_cpu_host_takes_over_when_no_gpu_host_is_usable(how: str) -> None:
    world = measured()
    unusable(world, how)
    (task,) = submit(world, PREFERRED)
    assert world.rows[task].host == "cpu1"
    assert "no GPU host usable" in world.notes[-1].reason.text


@pytest.mark.parametrize("how", WAYS)
def test_waiting_tasks_move_over_when_the_gpu_host_goes(how: str) -> None:
    world = measured()
    running, waiting = submit(world, PREFERRED, 2)
    assert world.rows[waiting].host is None
    unusable(world, how)
    assert world.rows[waiting].host == "cpu1"
    assert running in world.calls


def test_one_usable_gpu_host_of_two_is_enough_to_wait_for() -> None:
    world = mixed(gpus=2)
    world.check_answer("gpu1", HostHealth.DOWN)
    first, second = submit(world, PREFERRED, 2)
    assert (world.rows[first].host, world.rows[second].host) == ("gpu2", None)


def test_a_gpu_host_of_another_route_counts_for_nothing() -> None:
    hosts = (host("gpu1"), host("gpu2"), host("cpu1", kind="cpu"))
    types = {"general": kind("general", "gpu1", "cpu1"), "other": kind("other", "gpu2")}
    world = World(hosts, types)
    world.check_answer("gpu1", HostHealth.DOWN)
    (task,) = submit(world, PREFERRED)
    assert world.rows[task].host == "cpu1"


def test_a_gpu_host_that_refused_the_task_counts_for_nothing() -> None:
    world = mixed()
    (task,) = submit(world, PREFERRED)
    world.fail(task, K.REFUSED, "context too long")
    assert world.rows[task].host == "cpu1"


def test_a_host_that_left_the_configuration_is_not_usable() -> None:
    world = mixed(gpus=2)
    submit(world, replace(PREFERRED, host="gpu1"))
    types = {"general": kind("general", "gpu2", "cpu1")}
    world.feed(ev.HostsOwned((host("gpu2"), host("cpu1", kind="cpu")), types, world.policy))
    place = Candidate("gpu1", "main", "m")
    assert "gpu1" in world.board.hosts
    assert not kinds.usable(Round(world.board, world.now), place)


def small_card(m_mb: float, n_mb: float) -> World:
    """A GPU host of 8 GB with models `m` and `n` of these sizes, and a CPU host with `m`."""
    endpoint = Endpoint("main", "ollama", "http://g", ("m", "n"), sizes={"m": m_mb, "n": n_mb})
    gpu = Host("gpu1", 2, (endpoint,), telemetry=Telemetry(source="static", memory_mb=8192))
    types = {"general": kind("general", "gpu1", "cpu1"), "other": kind("other", "gpu1", model="n")}
    return World((gpu, host("cpu1", kind="cpu")), types)


def test_a_gpu_host_without_room_for_the_model_is_not_usable() -> None:
    world = small_card(9000, 100)
    (task,) = submit(world, PREFERRED)
    assert world.rows[task].host == "cpu1"


def test_a_gpu_host_whose_room_is_in_use_is_waited_for() -> None:
    world = small_card(5000, 5000)
    other = world.submit("other")
    (task,) = submit(world, PREFERRED)
    assert task not in world.calls
    world.end(other)
    assert world.rows[task].host == "gpu1"


# --- the queues -------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", [0, 2, 5])
@pytest.mark.parametrize("cpu", [0, 1, 7])
def test_a_cpu_host_helps_out_beyond_the_margin(margin: int, cpu: int) -> None:
    world = mixed(overflow_margin=margin)
    world.feed(ev.DispatchPaused(True))
    submit(world, NEVER, cpu)
    for gpu in range(cpu + margin + 4):
        assert kinds.lengths(Round(world.board, world.now)) == Queues(gpu, cpu)
        assert kinds.overflows(Round(world.board, world.now), "cpu1") == (gpu > cpu + margin)
        submit(world, PREFERRED)


def test_five_may_wait_and_the_sixth_is_too_many() -> None:
    world = mixed()
    submit(world, PREFERRED, 6)  # one runs
    assert world.running_on("cpu1") == []
    submit(world, PREFERRED)
    assert world.running_on("cpu1") == ["t2"]


@pytest.mark.parametrize(("cpus", "slots", "tasks"), [(3, 1, 8), (1, 3, 10)])
def test_it_takes_only_what_is_beyond_the_margin(cpus: int, slots: int, tasks: int) -> None:
    world = mixed(cpus=cpus, slots=slots)
    world.feed(ev.DispatchPaused(True))
    submit(world, PREFERRED, tasks)
    world.feed(ev.DispatchPaused(False))
    assert len(world.running_on("gpu1")) == slots
    assert len(world.calls) - slots == 2
    assert kinds.lengths(Round(world.board, world.now)) == Queues(5, 0)


def test_the_best_ranked_task_goes_first_when_a_cpu_host_helps_out() -> None:
    world = mixed(overflow_margin=1)
    submit(world, PREFERRED)
    late, urgent = submit(world, PREFERRED)[0], submit(world, PREFERRED, priority=0)[0]
    assert (world.rows[urgent].host, world.rows[late].host) == ("cpu1", None)
    texts = [n.reason.text for n in world.notes if n.task_id == urgent]
    assert texts == [
        "general -> cpu1 m (CPU, waiting: 2 GPU, 0 CPU, helps out); gpu1: 1 of 1 slot busy"
    ]


def test_queues_count_tasks_that_no_window_shows() -> None:
    world = mixed(overflow_margin=400)
    world.feed(ev.DispatchPaused(True))
    submit(world, NEVER, 150, priority=1)
    submit(world, PREFERRED, 550)
    assert len(world.board.where) < 200
    assert kinds.lengths(Round(world.board, world.now)) == Queues(550, 150)
    world.feed(ev.DispatchPaused(False))
    assert world.rows[world.running_on("cpu1")[0]].lane is NEVER, "550 is not over 150 + 400"
    submit(world, PREFERRED, 2)
    assert kinds.overflows(Round(world.board, world.now), "cpu1")


def test_a_start_finds_the_lengths_by_the_first_look_at_the_store() -> None:
    world = mixed()
    world.feed(ev.DispatchPaused(True))
    submit(world, PREFERRED, 300)
    again = World(world.hosts, world.types, world.policy, own=False)
    again.rows = world.rows
    again.own()
    assert again.started == ["t1", "t2"]
    assert again.running_on("cpu1") == ["t2"], "300 wait"
    assert kinds.lengths(Round(again.board, again.now)) == Queues(298, 0)


def test_a_length_that_drifted_is_right_after_a_poll() -> None:
    world = mixed()
    submit(world, PREFERRED)
    deep = submit(world, replace(PREFERRED, host="gpu1"), 300)
    for task in deep[100:200]:  # cancelled where no window shows them
        world.rows[task] = replace(world.rows[task], state=S.CANCELLED)
        world.feed(ev.TaskLeft(task))
    world.pass_time(3)
    assert kinds.lengths(Round(world.board, world.now)).gpu == 200


def test_what_is_claimed_while_the_store_counts_is_not_counted_twice() -> None:
    world = mixed()
    tasks = submit(world, PREFERRED, 4)
    counts = ((PREFERRED, Priority.NORMAL, 3),)
    world.rows[tasks[0]] = replace(world.rows[tasks[0]], state=S.COMPLETED)
    world.feed(world.ended(world.calls[tasks[0]]), settle=False)
    assert any(isinstance(e, fx.ClaimTasks) for e in world.todo)
    lanes.window(world.board, PREFERRED, Priority.NORMAL).complete = False
    world.feed(ev.LanesSeen(counts), settle=False)
    assert kinds.lengths(Round(world.board, world.now)) == Queues(2, 0)


def test_only_tasks_that_could_use_the_host_count_for_it() -> None:
    hosts = (host("gpu1"), host("gpu2"), host("cpu1", kind="cpu"), host("cpu2", kind="cpu"))
    types = {
        "general": kind("general", "gpu1", "cpu1"),
        "code": kind("code", "gpu2"),
        "pages": kind("pages", "cpu2"),
    }
    world = World(hosts, types)
    submit(world, PREFERRED, 3)
    submit(world, Lane("code"), 30)
    submit(world, Lane("pages", gpu=GpuNeed.NEVER), 9)
    assert kinds.lengths(Round(world.board, world.now)) == Queues(2 + 29, 8)
    assert kinds.lengths(Round(world.board, world.now), "cpu1") == Queues(2, 0)
    assert world.running_on("cpu1") == [], "30 tasks that it cannot run are no reason to help out"


def test_a_cpu_host_that_empties_its_own_queue_helps_out_in_the_same_step() -> None:
    world = mixed(cpus=2, overflow_margin=0)
    world.feed(ev.DispatchPaused(True))
    submit(world, PREFERRED, 2, priority=0)
    submit(world, NEVER, 1)
    world.feed(ev.DispatchPaused(False), settle=False)
    claims = [c.task_id for e in world.todo if isinstance(e, fx.ClaimTasks) for c in e.claims]
    assert claims == ["t1", "t3", "t2"]


@pytest.mark.parametrize(("unseen", "starts"), [(3, True), (30, False)])
def test_tasks_not_seen_yet_keep_a_cpu_host_only_if_it_helps_them_out(
    unseen: int, starts: bool
) -> None:
    world = mixed()
    world.feed(ev.LanesSeen(((PREFERRED, Priority.CRITICAL, unseen),)), settle=False)
    head = Head("late", 9, 1, NEVER, Priority.LOW, START_MS)
    world.feed(ev.TasksQueued((head,)), settle=False)
    assert any(isinstance(e, fx.ClaimTasks) for e in world.todo) == starts


def test_a_preferred_lane_with_cpu_hosts_alone_is_a_queue_for_them() -> None:
    world = World((host("c", kind="cpu"),), {"general": kind("general", "c")})
    submit(world, PREFERRED, 3)
    assert kinds.lengths(Round(world.board, world.now)) == Queues(0, 2)


def test_tasks_without_a_usable_gpu_host_are_in_the_queue_for_cpus() -> None:
    world = mixed()
    world.check_answer("gpu1", HostHealth.DOWN)
    submit(world, PREFERRED, 3)
    submit(world, REQUIRED, 4)
    assert kinds.lengths(Round(world.board, world.now)) == Queues(4, 2)


def test_a_snapshot_has_the_queues() -> None:
    world = mixed()
    submit(world, PREFERRED, 3)
    submit(world, NEVER, 2)
    view = snapshot(world.board, world.now, epoch=1, started_ms=0, counts=Counts({}), streamed={})
    assert (view.gpu_waiting, view.cpu_waiting) == (2, 1)


def test_the_estimate_counts_only_hosts_that_may_take_it() -> None:
    world = mixed()
    submit(world, PREFERRED, 2)
    world.pass_time(4)
    world.end("t1")
    world.pass_time(0)
    submit(world, PREFERRED, 1)
    assert Plan(world.board, world.now).wait_ms(PREFERRED, Priority.NORMAL, 0) == 4000


# --- required, never, unneeded ----------------------------------------------------------------------


def test_a_required_task_waits_for_a_gpu_whatever_happens() -> None:
    world = mixed()
    world.check_answer("gpu1", HostHealth.DOWN)
    tasks = submit(world, REQUIRED, 50)
    world.pass_time(30)
    assert world.running_on("cpu1") == []
    assert why(world, tasks[0])[0] is ReasonCode.HOST_DOWN


def test_a_never_task_waits_for_a_cpu_whatever_happens() -> None:
    world = mixed()
    world.check_answer("cpu1", HostHealth.DOWN)
    submit(world, NEVER, 50)
    world.pass_time(30)
    assert world.running_on("gpu1") == []


def test_what_does_not_profit_waits_for_a_cpu_and_leaves_the_gpu_alone() -> None:
    world = mixed(overflow_margin=0)
    first, second = submit(world, UNNEEDED, 2)
    assert (world.rows[first].host, world.rows[second].host) == ("cpu1", None)
    code, text = why(world, second)
    assert (code, text) == (
        ReasonCode.CPU_PREFERRED,
        "waits for a CPU host: gpu1 is kept for tasks that profit from a GPU",
    )


def test_a_gpu_that_is_kept_for_others_may_sleep() -> None:
    world = mixed(measured=("gpu1",))
    submit(world, UNNEEDED, 2)
    world.pass_time(100)
    assert world.watched == set()
    world.check_answer("cpu1", HostHealth.DOWN)
    assert world.watched == {"gpu1"}


def test_what_does_not_profit_goes_to_a_gpu_when_no_cpu_is_usable() -> None:
    world = mixed()
    world.check_answer("cpu1", HostHealth.DOWN)
    (task,) = submit(world, UNNEEDED)
    assert world.rows[task].host == "gpu1"
    only = World((host("a"),), {"general": kind("general", "a")})
    assert only.rows[submit(only, UNNEEDED)[0]].host == "a"


def test_a_cpu_host_does_not_keep_its_model_for_tasks_that_wait_for_a_gpu() -> None:
    endpoint = Endpoint("main", "ollama", "http://c", ("m", "n"))
    cpu = Host("cpu1", 1, (endpoint,), "cpu")
    types = {"general": kind("general", "gpu1", "cpu1"), "other": kind("other", "cpu1", model="n")}
    world = World((host("gpu1"), cpu), types)
    world.board.hosts["cpu1"].servers["main"].loaded = frozenset({"m"})
    submit(world, PREFERRED, 2)
    assert world.submit(lane=Lane("other", gpu=GpuNeed.NEVER)) in world.calls


# --- after a failure --------------------------------------------------------------------------------

OUTCOMES = (K.ERROR, K.BUSY, K.OUT_OF_MEMORY)


def tried(world: World, lane: Lane, outcome: K, limit: int = 12) -> list[str]:
    """The hosts a task is tried on at once, one after the other, failing on each."""
    (task,) = submit(world, lane)
    hosts: list[str] = []
    while task in world.calls and len(hosts) < limit:
        hosts.append(str(world.rows[task].host))
        world.fail(task, outcome)
    return hosts


@pytest.mark.parametrize(("gpus", "cpus", "lane", "error", "deferral"), [
    (1, 0, PREFERRED, ["gpu1"], ["gpu1"]),
    (2, 0, PREFERRED, ["gpu1", "gpu2"], ["gpu1", "gpu2"]),
    (3, 0, PREFERRED, ["gpu1", "gpu2"], ["gpu1", "gpu2", "gpu3"]),
    (1, 1, PREFERRED, ["gpu1", "cpu1"], ["gpu1", "cpu1"]),
    (2, 1, PREFERRED, ["gpu1", "gpu2", "cpu1"], ["gpu1", "gpu2", "cpu1"]),
    (3, 2, PREFERRED, ["gpu1", "gpu2", "cpu1"], ["gpu1", "gpu2", "gpu3", "cpu1", "cpu2"]),
    (0, 2, PREFERRED, ["cpu1", "cpu2"], ["cpu1", "cpu2"]),
    (1, 1, REQUIRED, ["gpu1"], ["gpu1"]),
    (2, 2, REQUIRED, ["gpu1", "gpu2"], ["gpu1", "gpu2"]),
    (2, 2, NEVER, ["cpu1", "cpu2"], ["cpu1", "cpu2"]),
    (1, 2, UNNEEDED, ["cpu1", "cpu2", "gpu1"], ["cpu1", "cpu2", "gpu1"]),
    (2, 1, UNNEEDED, ["cpu1", "gpu1"], ["cpu1", "gpu1", "gpu2"]),
])  # fmt: skip
def test_where_a_task_is_tried_after_failures(
    gpus: int, cpus: int, lane: Lane, error: list[str], deferral: list[str]
) -> None:
    assert tried(mixed(gpus, cpus), lane, K.ERROR) == error
    assert tried(mixed(gpus, cpus), lane, K.BUSY) == deferral
    assert tried(mixed(gpus, cpus, slots=2), lane, K.OUT_OF_MEMORY) == deferral


def test_after_both_kinds_have_failed_it_backs_off_and_begins_again() -> None:
    world = mixed(gpus=2)
    assert tried(world, PREFERRED, K.ERROR) == ["gpu1", "gpu2", "cpu1"]
    row = world.rows["t1"]
    assert (row.state, row.reason, row.errors) == (S.SCHEDULED, "backing_off", 3)
    world.pass_time(60)
    assert world.rows["t1"].host == "gpu1"


def test_the_other_gpu_is_waited_for_before_the_cpu() -> None:
    world = mixed(gpus=2)
    first, other = submit(world, PREFERRED, 2)
    world.fail(first, K.ERROR)
    assert first not in world.calls, "gpu2 is busy, cpu1 is idle"
    world.end(other)
    assert world.rows[first].host == "gpu2"


def test_with_the_other_gpu_down_the_cpu_is_next() -> None:
    world = mixed(gpus=2)
    world.check_answer("gpu2", HostHealth.DOWN)
    assert tried(world, PREFERRED, K.ERROR) == ["gpu1", "cpu1"]


def test_a_failure_on_a_cpu_host_that_helped_out_goes_to_a_gpu() -> None:
    world = mixed(overflow_margin=0)
    first, second = submit(world, PREFERRED, 2)
    assert world.rows[second].host == "cpu1"
    world.fail(second, K.ERROR)
    world.end(first)
    assert world.rows[second].host == "gpu1"
    world.fail(second, K.ERROR)
    assert world.rows[second].state is S.SCHEDULED


def test_an_error_after_a_deferral_still_reaches_the_cpu() -> None:
    world = mixed(gpus=2)
    (task,) = submit(world, PREFERRED)
    world.fail(task, K.BUSY)
    world.fail(task, K.ERROR)
    assert world.rows[task].host == "cpu1"


def test_a_task_sent_to_the_cpu_says_what_became_of_the_gpus() -> None:
    world = mixed(gpus=3)
    assert tried(world, PREFERRED, K.ERROR)[-1] == "cpu1"
    text = next(n.reason.text for n in reversed(world.notes) if n.reason.code == "chosen")
    assert text == (
        "general -> cpu1 m (CPU, waiting: 0 GPU, 1 CPU, its GPU hosts are out); gpu1 is avoided after a failure;"
        " gpu2 is avoided after a failure; gpu3 is avoided after a failure"
    )


# --- rules that hold whatever happens -----------------------------------------------------------------

LANES = (PREFERRED, REQUIRED, NEVER, UNNEEDED)
HOSTS = ("gpu1", "gpu2", "cpu1", "cpu2")
KIND = {name: name[:3] for name in HOSTS}
NEEDS = st.sampled_from(LANES)
OVER = {S.COMPLETED, S.FAILED}


def may(need: GpuNeed, name: str) -> bool:
    return KIND[name] in {"required": ("gpu",), "never": ("cpu",)}.get(need, ("gpu", "cpu"))


def up(world: World, name: str) -> bool:
    host = world.board.hosts[name]
    return not host.servers["main"].open and not host.drained


def waiting(world: World) -> list[Task]:
    return [r for r in world.rows.values() if r.state is S.QUEUED and r.id not in world.calls]


def wants(world: World, task: Task) -> str:
    """The kind a task waits for now, worked out from the rows alone."""
    first = {"required": "gpu", "preferred": "gpu"}.get(task.lane.gpu, "cpu")
    out = {key.split("/")[0] for key in (*task.lane.refused, *task.lane.avoid)}
    usable = any(KIND[n] == first and up(world, n) and n not in out for n in HOSTS)
    if usable or task.lane.gpu in (GpuNeed.REQUIRED, GpuNeed.NEVER):
        return first
    return "cpu" if first == "gpu" else "gpu"


def takes(world: World, name: str, task: Task) -> bool:
    """Whether an idle host takes this task: the rule, worked out from the rows alone."""
    if not may(task.lane.gpu, name) or f"{name}/main/m" in (*task.lane.refused, *task.lane.avoid):
        return False
    if KIND[name] == wants(world, task):
        return True
    if task.lane.gpu is not GpuNeed.PREFERRED:
        return False
    queue = [wants(world, r) for r in waiting(world) if may(r.lane.gpu, name)]
    return queue.count("gpu") > queue.count("cpu") + world.policy.overflow_margin


def nobody_idles(world: World) -> None:
    for name in HOSTS:
        host = world.board.hosts[name]
        server = host.servers["main"]
        idle = (
            up(world, name)
            and server.busy_until <= world.mono
            and host.busy < min(host.limit, 1 if server.busy_times else host.limit)
        )
        stuck = [t.id for t in waiting(world) if idle and takes(world, name, t)]
        assert stuck == [], f"{name} idles while {stuck} wait"


@given(st.data())
@settings(max_examples=examples(50, 1000), deadline=None)
def test_kinds_are_kept_to_no_host_idles_and_no_task_is_lost(data: st.DataObject) -> None:
    margin = data.draw(st.integers(0, 3))
    world = mixed(2, 2, overflow_margin=margin, poll_s=300, check_every_s=300)
    for _ in range(data.draw(st.integers(1, 50))):
        one_thing(world, data)
        for task, start in world.calls.items():
            assert may(world.rows[task].lane.gpu, start.candidate.host)
        nobody_idles(world)
    for name in HOSTS:
        world.feed(ev.HostDrained(name, False))
        world.check_answer(name, HostHealth.UP)
    for _ in range(len(world.rows) * 3 + 3):
        if {t.state for t in world.rows.values()} <= OVER:
            break
        world.pass_time(400)
        for name in HOSTS:
            world.check_answer(name, HostHealth.UP)
        for task in list(world.calls):
            world.end(task)
    assert {t.state for t in world.rows.values()} <= OVER
    assert kinds.lengths(Round(world.board, world.now)) == Queues(0, 0)


def one_thing(world: World, data: st.DataObject) -> None:
    what = data.draw(
        st.sampled_from(
            ("submit", "submit", "submit", "end", "fail", "down", "up", "drain", "time")
        )
    )
    name = data.draw(st.sampled_from(HOSTS))
    if what == "submit":
        submit(world, data.draw(NEEDS), data.draw(st.integers(1, 4)), data.draw(st.integers(0, 4)))
    elif what in ("end", "fail") and world.calls:
        task = data.draw(st.sampled_from(sorted(world.calls)))
        failures = (K.ERROR, K.UNREACHABLE, K.BUSY, K.OUT_OF_MEMORY, K.REFUSED)
        if what == "end":
            world.end(task)
        else:
            world.fail(task, data.draw(st.sampled_from(failures)))
    elif what in ("down", "up"):
        world.check_answer(name, HostHealth.DOWN if what == "down" else HostHealth.UP)
    elif what == "drain":
        world.feed(ev.HostDrained(name, data.draw(st.booleans())))
    else:
        world.pass_time(data.draw(st.sampled_from((0.5, 3, 40))))


@given(st.lists(st.tuples(NEEDS, st.integers(0, 4)), min_size=1, max_size=60), st.integers(0, 4))
@settings(max_examples=examples(50, 1000), deadline=None)
def test_rank_holds_among_tasks_that_compete_for_a_kind_of_slot(
    arrivals: list[tuple[Lane, int]], margin: int
) -> None:
    """A start is the best of all waiting tasks that want this kind of host; a CPU host that helps out
    also takes the best of those that it helps."""
    world = mixed(2, 2, overflow_margin=margin)
    for lane, priority in arrivals:
        submit(world, lane, priority=priority)
    while world.calls:
        before = len(world.started)
        world.end(next(iter(world.calls)))
        for task in world.started[before:]:
            row = world.rows[task]
            assert row.host is not None
            rivals = [
                r for r in waiting(world)
                if KIND[row.host] == wants(world, r) or r.lane.gpu is row.lane.gpu
            ]  # fmt: skip
            assert all((row.priority, row.seq) < (r.priority, r.seq) for r in rivals)


def test_a_cpu_host_helps_out_once_a_task_that_wanted_it_has_expired() -> None:
    world = mixed(overflow_margin=0, poll_s=300)
    submit(world, PREFERRED)
    world.feed(ev.DispatchPaused(True))
    (waits,) = submit(world, PREFERRED)
    world.submit(lane=NEVER, priority=4, deadline_ms=START_MS + 1000)
    world.mono += 2
    world.feed(ev.DispatchPaused(False))
    assert world.calls[waits].candidate.host == "cpu1"
