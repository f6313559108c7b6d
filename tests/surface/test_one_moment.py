"""Every figure of one moment is the same wherever it is read: the live view, `ygg status --json`, /v1/*, the line of the
log, the reasons. A simulated day, looked at between its events.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, replace
from random import Random

import pytest

from tests.shell.readings import CARD, FakeProbe, measure
from tests.shell.virtual import run_virtual
from tests.surface.world import Api, JsonDict, api
from ygg.model import HostView, Priority, Snapshot, State
from ygg.model.transfer import from_plain
from ygg.ports import Filter
from ygg.running.chores import concurrency
from ygg.view.render import render
from ygg.view.text import duration

PAUSES_S = (7, 61, 240, 900, 1800)
KINDS = ("general", "chat")


@dataclass
class Moment:
    """What everybody says now."""

    view: Snapshot
    frame: list[str]
    status: JsonDict
    hosts: list[JsonDict]
    queue: JsonDict
    stats: JsonDict
    gpu: JsonDict
    workers: JsonDict
    line: dict[str, dict[str, object]]

    @property
    def header(self) -> str:
        return self.frame[0]

    def row(self, host: str) -> str:
        """The host's line in the view."""
        return next(r for r in self.frame if re.match(rf" \S +{host}\b", r))


async def moment(day: Api) -> Moment:
    body = (await day.get("/v1/snapshot"))["snapshot"]
    view = from_plain(Snapshot, body)
    return Moment(
        view,
        [row.text for row in render(view, 220, 70)],
        await day.get("/v1/status", probe=False),
        (await day.get("/v1/hosts"))["hosts"],
        await day.get("/v1/queue"),
        await day.get("/v1/async/stats"),
        (await day.get("/v1/gpu/status"))["gpu"],
        await day.get("/api/v1/status/workers"),
        concurrency(day.house.dispatcher.loop),
    )


# --- the day --------------------------------------------------------------------------------------


async def happens(day: Api, probes: dict[str, FakeProbe], chance: Random) -> None:
    """Some of what happens in a house."""
    dispatcher, now_ms = day.house.dispatcher, day.house.dispatcher.loop.clock.now_ms()
    for _ in range(chance.randrange(5)):
        later = {"not_before_ms": now_ms + 1000 * chance.randrange(1, 7200)}
        await day.house.submit(
            chance.choice(KINDS), priority=chance.choice(list(Priority)), title="Name five moons",
            **(later if chance.random() < 0.2 else {}),
        )  # fmt: skip
    name = chance.choice(list(probes))
    heat, used = chance.choice((55.0, 79.5, 86.5, 91.0)), chance.choice((0.4, 0.7, 0.916, 0.9796))
    free_mb = CARD.free_mb and round((1 - used) * (CARD.total_mb or 0), 1)
    probes[name].devices = (replace(CARD, temperature_c=heat, free_mb=free_mb),)
    place = day.house.places[name]
    place.latency_s, place.pieces = chance.choice((20.0, 400.0)), chance.choice((2, 80))
    place.down() if place.fault is None and chance.random() < 0.2 else place.up()
    await dispatcher.drain_host(name, chance.random() < 0.1)
    await dispatcher.pause(chance.random() < 0.05)
    open_ = await dispatcher.archive.find(Filter(states=(State.QUEUED, State.PROCESSING)))
    if open_ and chance.random() < 0.3:
        await dispatcher.cancel(chance.choice(open_).id)


def day_of(seed: int) -> list[Moment]:
    """Moments at which nothing is under way, from midnight to midnight."""

    async def main() -> list[Moment]:
        chance, loop, found = Random(seed), asyncio.get_running_loop(), list[Moment]()
        async with api() as day:
            day.house.dispatcher.loop._checked = (
                False  # an index recomputed at each of 20,000 steps takes minutes
            )
            probes = {name: measure(day.house, name, CARD) for name in day.house.places}
            for probe in probes.values():
                probe.interval_s = 15.0
            over = loop.time() + 86_400
            while loop.time() < over:
                await happens(day, probes, chance)
                await asyncio.sleep(chance.choice(PAUSES_S) + 0.1234567)  # no timer ends there
                found.append(await moment(day))
                await same_of_tasks(day, found[-1])
        return found

    return run_virtual(main())


# --- what has to be the same ----------------------------------------------------------------------


def same_counts(now: Moment) -> None:
    """Of the queue: by state, by priority, and what runs."""
    counts = now.view.counts
    by_state = {str(s): counts.state(s) for s in State}
    for told in (now.queue, now.stats["queue"], now.status["queue"]):
        assert {s: told[s] for s in by_state} == by_state
        assert told["total_tasks"] == sum(by_state.values())
        assert sum(told["by_priority"].values()) == told["queued"]
    running = by_state["processing"]
    assert len(now.view.running) == running == now.stats["running"] == now.gpu["running"]
    assert sum(h["in_flight"] for h in now.hosts) == running
    assert sum(int(str(h["active"])) for h in now.line.values()) == running
    assert f"running {running}  " in now.header
    assert f"queued {by_state['queued']} " in now.header
    assert now.stats["queue_depth"] == by_state["queued"]
    for word, state in (("later", "scheduled"), ("done", "completed"), ("failed", "failed")):
        assert (f"{word} {by_state[state]}  " in now.header) or not by_state[state]
    waits = by_state["queued"] + by_state["scheduled"]
    assert any(r.startswith(f"── NEXT UP {waits} ") for r in now.frame)
    assert any(r.startswith(f"── RUNNING {running} ") for r in now.frame)
    assert sum(q["length"] for q in now.workers["queues"].values()) == by_state["queued"]


def same_rates(now: Moment) -> None:
    rate, drain = now.view.per_minute, now.view.drain_ms
    told = now.stats["performance"]["throughput_tasks_per_minute"]
    assert told == (None if rate is None else round(rate, 2))
    assert ("--/min" if rate is None else f"{rate:.1f}/min") in now.header
    waits = [w.expected_ms for w in now.view.waiting]
    known = [w for w in waits if w is not None]
    if len(waits) < now.queue["queued"]:  # a snapshot lists the first ones
        assert drain is None or drain >= max(known)
    else:
        assert drain == (max(known) if known and len(known) == len(waits) else None)
    if drain is not None:
        assert f"empty in ~{duration(drain / 1000)} " in now.header


def same_hosts(now: Moment) -> None:
    assert now.status["hosts"] == now.hosts
    up = [h["name"] for h in now.hosts if h["reachable"]]
    assert (now.stats["hosts_up"], now.stats["hosts_total"]) == (len(up), len(now.hosts))
    assert sorted(now.workers["workers"]["details"]) == sorted(up)
    assert f"{len(up)}/{len(now.hosts)} hosts up" in now.header
    for seen, body, read in zip(now.view.hosts, now.hosts, now.gpu["hosts"], strict=True):
        same_slots(now, seen, body, read)
        same_readings(now, seen, body, read)


def same_slots(now: Moment, seen: HostView, body: JsonDict, read: JsonDict) -> None:
    busy, free = body["in_flight"], body["available_slots"]
    line = now.line[seen.name]
    assert (line["active"], line["available_slots"]) == (busy, free)
    assert line["tasks"] == body["tasks"] == list(seen.running)
    assert (read["running"], read["limit"], read["slots"]) == (busy, body["limit"], body["slots"])
    assert free <= max(0, body["limit"] - busy)
    if not body["reachable"] or body["drained"] or body["busy_until"]:
        assert free == 0
    marks = "■" * busy + "□" * free + "·" * (body["slots"] - busy - free)
    assert f" {marks} " in now.row(seen.name)
    worker = now.workers["workers"]["details"].get(seen.name)
    assert worker is None or (worker["active_tasks"], worker["max_tasks"]) == (busy, body["limit"])


def same_readings(now: Moment, seen: HostView, body: JsonDict, read: JsonDict) -> None:
    """Heat and memory: of the cards, the house, the view and the reason of the limit."""
    assert (body["limit_reason"], body["memory_pressure"]) == (read["limit_reason"], seen.level)
    if not body["gpus"]:
        return
    (card,) = body["gpus"]
    degrees, share = read["temperature_c"], 100 * card["used_mb"] / card["total_mb"]
    percent = int(share)
    assert (card["temperature_c"], card["level"]) == (degrees, read["memory_pressure"])
    assert read["memory_used_percent"] == round(share, 1)
    assert f"{degrees:.0f} °C" in now.row(seen.name)
    assert f"{percent}% {card['level']} " in now.row(seen.name)
    why = body["limit_reason"] or ""
    for told in re.findall(r"(?:too hot: |now )(\d+) °C", why):
        assert told == f"{degrees:.0f}"
    for told in re.findall(r"(?:memory full: |now )(\d+) %", why):
        assert int(told) == percent
    assert not why or why in " ".join(" ".join(now.frame).replace("└", "").split())


async def same_of_tasks(day: Api, now: Moment) -> None:
    """What is told of single tasks: how far they are, when they start, and why they wait."""
    for run in now.view.running:
        told = await day.get(f"/v1/async/status/{run.task_id}")
        assert (told["progress_percent"], told["backend"]) == (run.progress, run.backend)
        assert (told["host"], told["attempt"]) == (run.host, run.attempt)
    for wait in now.view.waiting:
        told = await day.get(f"/v1/tasks/{wait.task_id}/why")
        best = told["reasons"][0]["text"]
        assert wait.reason.text in best, f"{wait.reason.text!r} is not in {best!r}"
        assert told["estimated_wait_ms"] == wait.expected_ms
    for later in now.view.scheduled:
        told = await day.get(f"/v1/tasks/{later.task_id}/why")
        assert told["reasons"][0]["text"] == later.reason.text


SOAK = (pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 12))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1, *SOAK])
def test_every_figure_of_one_moment_agrees_over_a_simulated_day(seed: int) -> None:
    moments = day_of(seed)
    for now in moments:
        same_counts(now)
        same_rates(now)
        same_hosts(now)
    seen = Counter(
        what
        for now in moments
        for what, there in (
            ("hot", any("hot" in h.limit_reason for h in now.view.hosts)),
            ("full", any("memory full" in h.limit_reason for h in now.view.hosts)),
            ("down", any(h["reachable"] is False for h in now.hosts)),
            ("drain", now.view.drain_ms is not None),
            ("runs", bool(now.view.running)),
            ("later", bool(now.view.scheduled)),
        )
        if there
    )
    assert len(moments) > 60
    assert set(seen) == {"hot", "full", "down", "drain", "runs", "later"}, "the day was too quiet"


def test_what_was_just_submitted_is_counted_everywhere() -> None:
    async def main() -> None:
        async with api() as day:
            for count in (1, 2, 3):
                await day.submit(not_before=3600)
                now = await moment(day)
                same_counts(now)
                assert now.queue["scheduled"] == len(now.view.scheduled) == count

    run_virtual(main())
