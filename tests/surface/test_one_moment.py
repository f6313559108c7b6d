"""Every figure of one moment is the same wherever it is read: the live view, `ygg status --json`, /v1/*, the line of the
log, the reasons. A simulated day, looked at between its events.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import pytest

from tests.shell.virtual import run_virtual
from tests.surface.day import day
from tests.surface.test_metrics import Page, scraped
from tests.surface.world import Api, JsonDict, api
from ygg.errors import StoreError
from ygg.model import Counts, HostView, Snapshot, State
from ygg.model.transfer import from_plain
from ygg.plain import tenths
from ygg.running.chores import concurrency
from ygg.view.hosts import MARKS
from ygg.view.render import render
from ygg.view.text import duration


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
    metrics: Page
    line: dict[str, dict[str, object]]

    @property
    def header(self) -> str:
        return self.frame[0]

    def row(self, host: str) -> str:
        """The host's line in the view."""
        return next(r for r in self.frame if re.match(rf" \S +{host}\b", r))


async def moment(api: Api) -> Moment:
    body = (await api.get("/v1/snapshot"))["snapshot"]
    view = from_plain(Snapshot, body)
    return Moment(
        view,
        [row.text for row in render(view, 220, 70)],
        await api.get("/v1/status", probe=False),
        (await api.get("/v1/hosts"))["hosts"],
        await api.get("/v1/queue"),
        await api.get("/v1/async/stats"),
        (await api.get("/v1/gpu/status"))["gpu"],
        await api.get("/api/v1/status/workers"),
        await scraped(api),
        concurrency(api.house.dispatcher.loop),
    )


async def moments_of(seed: int, *, checked: bool) -> list[Moment]:
    found = list[Moment]()
    async with day(seed, checked=checked) as house:
        async for _ in house.moments():
            found.append(await moment(house.api))
            await same_of_tasks(house.api, found[-1])
    return found


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
    open_ = [e for e in body["endpoints"] if e["health"] == "up" and not e["busy_until"]]
    if not open_ or body["drained"]:
        assert free == 0
    marks = "■" * busy + "□" * free + "·" * (body["slots"] - busy - free)
    if body["slots"] > MARKS:
        marks = f"{busy}/{busy + free}"
    assert f" {marks} " in now.row(seen.name)
    worker = now.workers["workers"]["details"].get(seen.name)
    assert worker is None or (worker["active_tasks"], worker["max_tasks"]) == (busy, body["limit"])


def same_readings(now: Moment, seen: HostView, body: JsonDict, read: JsonDict) -> None:
    """Heat and memory: of the cards, the house, the view and the reason of the limit."""
    assert (body["limit_reason"], body["memory_pressure"]) == (read["limit_reason"], seen.level)
    if not body["gpus"]:
        return
    cards = body["gpus"]
    degrees = max(
        (c["temperature_c"] for c in cards if c["temperature_c"] is not None), default=None
    )
    if degrees is None:
        return
    used, total = (sum(card[key] for card in cards) for key in ("used_mb", "total_mb"))
    percent = int(100 * used / total)
    assert (read["temperature_c"], read["memory_pressure"]) == (degrees, cards[0]["level"])
    assert int(read["memory_used_percent"]) == percent
    assert f"{degrees:.0f} °C" in now.row(seen.name)
    assert f"{percent}% {cards[0]['level']} " in now.row(seen.name)
    why = body["limit_reason"] or ""
    for told in re.findall(r"(?:too hot: |now )(\d+) °C", why):
        assert told == f"{degrees:.0f}"
    for told in re.findall(r"(?:memory full: |now )(\d+) %", why):
        assert int(told) == percent
    assert not why or why in " ".join(" ".join(now.frame).replace("└", "").split())


def same_metrics(now: Moment) -> None:
    """What Prometheus gets is what `ygg status --json` says, under ygg's names and the mission's."""
    page, queue = now.metrics, now.status["queue"]
    for state in State:
        assert page.total("ygg_queue_tasks", state=state) == queue[state]
    for priority, depth in queue["by_priority"].items():
        assert page("task_queue_depth", priority=priority.lower()) == depth
        assert page("ygg_queue_tasks", state="queued", priority=priority.lower()) == depth
    assert page.total("tasks_processing") == page.total("ygg_tasks_running") == queue["processing"]
    rate = now.view.per_minute
    assert page("tasks_per_minute") == (None if rate is None else pytest.approx(rate))
    assert page("ygg_queue_drain_seconds") == (
        None if now.view.drain_ms is None else now.view.drain_ms / 1000
    )
    assert page("gpu_temperature_celsius") == now.gpu["temperature_c"]
    percent, told = page("gpu_memory_used_percent"), now.gpu["memory_used_percent"]
    assert (None if percent is None else tenths(percent)) == told
    for body in now.status["hosts"]:
        same_host(page, body)


def same_host(page: Page, body: JsonDict) -> None:
    name = body["name"]
    up = {None: None, True: 1, False: 0}[body["reachable"]]
    assert (page("ygg_host_up", host=name), page("ygg_host_drained", host=name)) == (up, body["drained"])  # fmt: skip
    keys = {"configured": "slots", "limit": "limit", "running": "in_flight", "ghost": "ghosts", "free": "available_slots"}  # fmt: skip
    for state, key in keys.items():
        assert page("ygg_host_slots", host=name, state=state) == body[key]
    held = page.total("ygg_host_throttled", host=name)
    assert held == bool(body["limit_reason"])
    assert held <= (body["limit"] < body["slots"])
    for card in body["gpus"]:
        labels = {"host": name, "gpu": str(card["index"]), "uuid": card["uuid"]}
        assert page("ygg_gpu_temperature_celsius", **labels) == card["temperature_c"]
        used = card["used_mb"]
        assert page("ygg_gpu_memory_used_bytes", **labels) == (None if used is None else used * 2**20)  # fmt: skip
        assert page("ygg_gpu_lost", **labels) == bool(card["error"])


async def same_of_tasks(api: Api, now: Moment) -> None:
    """What is told of single tasks: how far they are, when they start, and why they wait."""
    for run in now.view.running:
        told = await api.get(f"/v1/async/status/{run.task_id}")
        assert (told["progress_percent"], told["backend"]) == (run.progress, run.backend)
        assert (told["host"], told["attempt"]) == (run.host, run.attempt)
    for wait in now.view.waiting:
        told = await api.get(f"/v1/tasks/{wait.task_id}/why")
        best = told["reasons"][0]["text"]
        assert wait.reason.text in best, f"{wait.reason.text!r} is not in {best!r}"
        assert told["estimated_wait_ms"] == wait.expected_ms
    for later in now.view.scheduled:
        told = await api.get(f"/v1/tasks/{later.task_id}/why")
        assert told["reasons"][0]["text"] == later.reason.text


SOAK = (pytest.param(seed, True, marks=pytest.mark.soak) for seed in range(2, 12))


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("seed", "checked"), [(1, False), *SOAK])
def test_every_figure_of_one_moment_agrees_over_a_simulated_day(seed: int, checked: bool) -> None:
    """`checked`: every index is recomputed at each step; a day takes minutes then."""
    moments = run_virtual(moments_of(seed, checked=checked))
    for now in moments:
        same_counts(now)
        same_rates(now)
        same_hosts(now)
        same_metrics(now)
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
        async with api() as house:
            for count in (1, 3, 5):
                await house.submit(not_before=3600)
                now = await moment(house)
                same_counts(now)
                assert now.queue["scheduled"] == len(now.view.scheduled) == count
                assert (await scraped(house)).total("ygg_queue_tasks", state="scheduled") == count
                await house.submit(not_before=3600)
                page = await scraped(house)  # before anybody else looks
                assert page.total("ygg_queue_tasks", state="scheduled") == count + 1

    run_virtual(main())


def test_counts_of_some_time_ago_are_said_to_be_so_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        async with api() as house:
            await house.submit(not_before=3600)
            assert await told(house) == [None] * 4
            with monkeypatch.context() as broken:

                async def fails() -> Counts:
                    meanwhile.append(house.house.dispatcher.snapshot(0).store_error)
                    raise StoreError("the disk does not answer")

                meanwhile: list[str | None] = []
                broken.setattr(house.house.store, "counts", fails)
                assert await told(house) == ["the disk does not answer"] * 4
                first, *later = meanwhile
                assert (first, set(later)) == (None, {"the disk does not answer"})
            assert await told(house) == [None] * 4

    async def told(house: Api) -> list[str | None]:
        now = await moment(house)
        assert now.queue["scheduled"] == 1
        daemon = now.status["daemon"]
        return [x["store_error"] for x in (now.queue, now.stats, daemon)] + [now.view.store_error]

    run_virtual(main())
