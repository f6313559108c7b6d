"""What is counted of which event, and under which names; over the real dispatcher: `surface/test_metrics.py`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.builders import new_task
from tests.core.world import World, card, host, kind
from ygg.core import events as ev
from ygg.errors import QueueFull
from ygg.model import (
    Health,
    HostHealth,
    Lane,
    NewTask,
    Operation,
    Outcome,
    OutcomeKind,
    Priority,
    Sharing,
    State,
    Submitted,
    Task,
    Usage,
)
from ygg.telling.tally import OTHER, SECONDS, TOLD, Histogram, Histograms, Tally


class Heard(World):
    """A dispatcher whose events are counted, each before its step."""

    def __init__(self, *args: object, **more: object) -> None:
        self.tally = Tally()
        super().__init__(*args, **more)  # type: ignore[arg-type]

    def feed(self, event: ev.Event, *, settle: bool = True) -> None:
        self.tally.hear(event, self.board, self.now)
        super().feed(event, settle=settle)


CODE = ("skadi", "m", "code")


# --- histograms -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "place"), [(0.0, 0), (0.1, 0), (0.1001, 1), (640.0, 12), (641.0, 13)])  # fmt: skip
def test_a_value_counts_at_the_first_bound_that_it_does_not_exceed(value: float, place: int) -> None:  # fmt: skip
    found = Histogram()
    found.observe(value)
    assert [n for n, count in enumerate(found.counts) if count] == [place]
    assert found.total == value
    assert len(found.counts) == len(SECONDS) + 1


def test_labels_have_a_histogram_each_and_a_copy_stays_as_it_was() -> None:
    found = Histograms()
    found.observe(("a",), 1.0)
    kept = found.copied()
    found.observe(("a",), 2.0)
    found.observe(("b",), 4.0)
    assert {k: (sum(h.counts), h.total) for k, h in found.items()} == {("a",): (2, 3.0), ("b",): (1, 4.0)}  # fmt: skip
    assert {k: (sum(h.counts), h.total) for k, h in kept.items()} == {("a",): (1, 1.0)}


# --- tasks ----------------------------------------------------------------------------------------


def test_a_task_counts_when_it_starts_and_when_it_ends() -> None:
    world = Heard()
    world.submit(priority=3)
    second = world.submit(priority=3)
    third = world.submit(priority=1)
    world.pass_time(7)
    for task in ("t1", second, third):
        world.end(task)
    assert world.tally.ended == {(*CODE, State.COMPLETED): 3}
    assert {k: (sum(h.counts), h.total) for k, h in world.tally.waits.items()} == {
        ("low",): (2, 0.0),
        ("high",): (1, 7.0),
    }
    ran = world.tally.durations["skadi", "m", OutcomeKind.COMPLETED]
    assert (sum(ran.counts), ran.total) == (3, 14.0)


def test_tokens_are_those_of_the_call_ygg_s_own_included() -> None:
    world = Heard()
    task = world.submit()
    call = world.ended(world.calls.pop(task))
    world.feed(replace(call, usage=Usage(prompt_tokens=11, output_tokens=5)))
    world.feed(replace(call, usage=Usage(prompt_tokens=11, output_tokens=5)))  # it is over already
    assert world.tally.tokens == {("skadi", "m", "input"): 11, ("skadi", "m", "output"): 5}


def test_a_call_of_ygg_s_own_is_no_attempt_of_a_task() -> None:
    world = Heard()
    world.fail(world.submit(), OutcomeKind.ERROR)
    assert len(world.canaries) == 1
    assert {k: sum(h.counts) for k, h in world.tally.durations.items()} == {
        ("skadi", "m", OutcomeKind.ERROR): 1
    }


def test_a_task_that_waits_again_is_retried_and_has_not_ended() -> None:
    world = Heard()
    world.fail(world.submit(), OutcomeKind.UNREACHABLE)
    assert world.tally.retries == {("host_down",): 1}
    assert world.tally.ended == {}


def test_a_task_that_needs_a_person_counts_as_blocked() -> None:
    world = Heard()
    world.submit()
    world.feed(ev.ShutdownAsked())
    world.feed(ev.CutAsked())
    world.end("t1", Outcome(OutcomeKind.CANCELLED))
    assert world.tally.ended == {(*CODE, State.BLOCKED): 1}


def test_an_end_that_comes_too_late_is_no_end() -> None:
    world = Heard()
    task = world.submit()
    world.rows[task] = replace(world.rows[task], attempt=9)
    world.end(task)
    assert (world.tally.ended, world.tally.retries) == ({}, {})
    assert world.board.stale_ends == 1


def test_what_leaves_the_queue_counts_where_it_has_ended() -> None:
    world = Heard()
    task = world.submit("reasoning")
    row = world.rows[task]
    world.feed(ev.TaskLeft("nobody"))
    world.feed(ev.TaskLeft("t9", replace(row, id="t9", host=None, model=None, state=State.CANCELLED)))  # fmt: skip
    world.feed(ev.Promoted((), ("t7", "t8"), None, ("t6",)))
    world.feed(ev.Promoted((), (), None))
    assert world.tally.ended == {
        ("", "", "reasoning", State.CANCELLED): 1,
        ("", "", "", State.EXPIRED): 2,
        ("", "", "", State.CANCELLED): 1,
    }


# --- names ----------------------------------------------------------------------------------------


def test_a_type_or_model_that_hosts_yaml_does_not_have_is_another() -> None:
    world = Heard()
    lane = Lane("made-up", model="made-up", host="skadi")
    world.end(world.submit(lane=Lane("made-up")))
    assert world.tally.ended == {("surtr", "m", OTHER, State.COMPLETED): 1}
    world.rows["x"] = task = replace(world.rows["t1"], id="x", lane=lane, model="made-up")
    world.feed(ev.TaskLeft("x", task))
    assert world.tally.ended["surtr", OTHER, OTHER, State.COMPLETED] == 1
    assert world.tally.models == {"m"}


def test_a_server_that_names_no_model_has_none() -> None:
    world = Heard((host("a", 1, ()),), {"general": kind("general", "a", model="")})
    world.end(world.submit("general"))
    assert world.tally.ended == {("a", "", "general", State.COMPLETED): 1}


def test_models_that_servers_add_are_named_up_to_a_bound() -> None:
    world = Heard()
    names = [f"m{n}" for n in range(2 * TOLD)]

    def tells(*loaded: str, of: HostHealth = HostHealth.UP) -> None:
        world.feed(ev.HostChecked("skadi", "main", Health(of, models=("m", *names), loaded=loaded)))

    tells()
    assert world.tally.loads == {}
    tells("m", "m0")
    tells("m", "m0")
    assert world.tally.loads == {("skadi", "m"): 1, ("skadi", "m0"): 1}
    tells(of=HostHealth.DOWN)
    tells("not listed")
    tells(*names)
    assert world.tally.loads["skadi", OTHER] == 1 + TOLD
    assert len(world.tally.models) == TOLD + 1


# --- hosts ----------------------------------------------------------------------------------------


def test_readings_are_told_of_hosts_that_there_are() -> None:
    world = Heard(measured=("skadi",))
    world.read("skadi", card())
    world.pass_time(5)
    came = world.now.wall_ms
    world.read("skadi", card())
    world.read("skadi", loaded=(("main", ("m",)),))  # of a source that measures nothing
    world.read("nobody", card())
    world.feed(ev.ReadingMissed("skadi", "nvml", "gone"))
    world.feed(ev.ReadingMissed("nobody", "nvml", "gone"))
    assert world.tally.read_ms == {("skadi", "nvml"): came}
    assert world.tally.unread == {("skadi", "nvml"): 1}


# --- submits --------------------------------------------------------------------------------------


def submitted(new: NewTask, *, joined: bool = False, existing: bool = False, lender: str | None = None) -> Submitted:  # fmt: skip
    task = Task(new.id, 1, 1, new.lane, new.priority, State.QUEUED, Operation.CHAT, {}, cached_from=lender)  # fmt: skip
    return Submitted(task, existing or joined, joined)


def test_a_submit_counts_what_is_new_and_what_was_had_already() -> None:
    tally = Tally()
    plain, high = new_task(), new_task(priority=Priority.HIGH)
    shared = new_task(sharing=Sharing("k", 300.0, True))
    joins = new_task(sharing=Sharing("k", None, True))
    tally.taken(
        [plain, high, plain, shared, shared, shared, joins, plain],
        [submitted(plain), submitted(high), submitted(plain, existing=True), submitted(shared),
         submitted(shared, lender="t"), submitted(shared, joined=True), submitted(joins), QueueFull("full")],
    )  # fmt: skip
    assert tally.submitted == Counter({("normal",): 4, ("high",): 1})
    assert ("backlog",) in tally.submitted, "a rate begins at zero"
    assert tally.cache == Counter({("miss",): 1, ("hit",): 1, ("joined",): 1})
