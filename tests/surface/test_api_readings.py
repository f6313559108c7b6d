"""The endpoints of readings: the mission's two, the history, the advice."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from tests.shell.readings import CARD, measure, past
from tests.shell.virtual import START_MS
from tests.surface.world import Api, JsonDict, play
from ygg.api.gauges import preferred_backend
from ygg.model import Endpoint

FIGURES = (
    "memory_pressure", "memory_used_mb", "memory_total_mb", "memory_used_percent", "temperature_c",
    "power_w", "utilization_percent",
)  # fmt: skip


async def gpu(api: Api) -> JsonDict:
    found: JsonDict = (await api.get("/v1/gpu/status"))["gpu"]
    return found


# --- status ---------------------------------------------------------------------------------------


def test_the_status_of_a_house_without_readings_is_null_not_zero() -> None:
    async def scene(api: Api) -> None:
        found = await gpu(api)
        assert [found[k] for k in FIGURES] == [None] * len(FIGURES)
        assert (found["slots"], found["limit"], found["running"], found["hosts_read"]) == (
            2,
            2,
            0,
            0,
        )
        surtr, fenrir = found["hosts"]
        assert (surtr["name"], fenrir["name"], surtr["kind"]) == ("surtr", "fenrir", "gpu")
        assert [surtr[k] for k in FIGURES] == [None] * len(FIGURES)
        assert [
            surtr[k] for k in ("age_s", "limit_reason", "preferred_backend", "bundle_size")
        ] == [None] * 4
        assert (surtr["fresh"], surtr["stale"], surtr["devices"]) == (False, False, [])

    play(scene)


def test_the_status_shows_what_the_newest_reading_tells() -> None:
    async def scene(api: Api) -> None:
        measure(api.house, "surtr", CARD)
        await asyncio.sleep(3)
        found = await gpu(api)
        surtr = found["hosts"][0]
        for body in (found, surtr, surtr["devices"][0]):
            assert [body[k] for k in FIGURES] == ["NORMAL", 7373, 12288, 60, 63, 141.5, 82]
        assert (surtr["fresh"], surtr["stale"], found["hosts_read"]) == (True, False, 1)
        assert 0 <= surtr["age_s"] <= 2
        assert (surtr["preferred_backend"], surtr["bundle_size"]) == ("ollama", 6)
        device = surtr["devices"][0]
        assert (device["index"], device["name"], device["temperature_limit_c"]) == (
            0, "RTX 4070", 90,
        )  # fmt: skip

    play(scene)


@pytest.mark.parametrize(
    ("free", "level", "bundle"),
    [(9000, "LOW", 8), (5000, "NORMAL", 6), (3000, "HIGH", 4), (900, "CRITICAL", 1)],
)
def test_each_level_has_its_bundle_size(free: float, level: str, bundle: int) -> None:
    async def scene(api: Api) -> None:
        measure(api.house, "surtr", replace(CARD, free_mb=free))
        await asyncio.sleep(3)
        surtr = (await gpu(api))["hosts"][0]
        assert (surtr["memory_pressure"], surtr["bundle_size"]) == (level, bundle)

    play(scene)


def test_the_house_is_as_pressed_and_as_hot_as_its_worst_host() -> None:
    async def scene(api: Api) -> None:
        second = replace(CARD, uuid="GPU-2", index=1, temperature_c=70.0, utilization=40.0)
        measure(api.house, "surtr", CARD, second)
        measure(
            api.house, "fenrir", replace(CARD, free_mb=1000.0, temperature_c=51.0, power_w=None)
        )
        await asyncio.sleep(3)
        found = await gpu(api)
        assert [h["memory_pressure"] for h in found["hosts"]] == ["NORMAL", "CRITICAL"]
        assert (found["memory_pressure"], found["temperature_c"]) == ("CRITICAL", 70)
        assert (found["memory_used_mb"], found["memory_total_mb"]) == (26034, 36864)
        assert (found["power_w"], found["utilization_percent"]) == (283, 68)
        surtr = found["hosts"][0]
        assert (surtr["memory_used_mb"], surtr["memory_used_percent"]) == (14746, 60)
        assert (surtr["utilization_percent"], len(surtr["devices"])) == (61, 2)

    play(scene)


def test_a_lowered_limit_comes_with_its_reason() -> None:
    async def scene(api: Api) -> None:
        measure(api.house, "surtr", replace(CARD, temperature_c=88.0))
        await asyncio.sleep(3)
        surtr = (await gpu(api))["hosts"][0]
        assert (surtr["slots"], surtr["limit"]) == (1, 0)
        assert "88 °C" in surtr["limit_reason"]

    play(scene)


def test_a_reading_that_grows_old_is_stale_and_then_gone() -> None:
    async def scene(api: Api) -> None:
        probe = measure(api.house, "surtr", CARD)
        api.surtr.latency_s = 1000
        await api.submit()
        await asyncio.sleep(3)
        probe.interval_s = 1000
        await asyncio.sleep(15)
        found = await gpu(api)
        surtr = found["hosts"][0]
        assert (surtr["fresh"], surtr["stale"], found["hosts_read"]) == (False, True, 0)
        assert (surtr["memory_used_percent"], surtr["age_s"]) == (60, pytest.approx(15, abs=3))
        told = (await api.get("/v1/gpu/memory-forecast"))["hosts"][0]
        assert (told["memory_used_percent"], told["basis"]["samples"]) == (None, 0)
        await asyncio.sleep(30)
        surtr = (await gpu(api))["hosts"][0]
        assert (surtr["stale"], surtr["memory_pressure"], surtr["age_s"]) == (False, None, None)

    play(scene)


@pytest.mark.parametrize(
    ("level", "kinds", "preferred"),
    [
        ("LOW", ("llama.cpp", "vllm"), "vllm"),
        ("NORMAL", ("vllm", "llama.cpp"), "llama.cpp"),
        ("CRITICAL", ("vllm", "ollama"), "ollama"),
        ("HIGH", ("vllm",), "vllm"),
        ("LOW", ("ollama",), "ollama"),
        ("LOW", (), None),
        (None, ("vllm",), None),
    ],
)
def test_the_preferred_server_is_the_one_of_the_level(
    level: str | None, kinds: tuple[str, ...], preferred: str | None
) -> None:
    endpoints = [
        Endpoint(k, "ollama", "http://x")
        if k == "ollama"
        else Endpoint(k, "openai", "http://x", dialect=k)
        for k in kinds
    ]
    assert preferred_backend(level, endpoints) == preferred


# --- forecast -------------------------------------------------------------------------------------


def test_the_forecast_follows_the_minutes_to_the_newest_reading() -> None:
    async def scene(api: Api) -> None:
        rows = past(10)
        grown = [replace(r, used_mb=6000.0 + 100 * n) for n, r in enumerate(rows)]
        await api.house.store.record_minutes(grown)
        measure(api.house, "surtr", replace(CARD, free_mb=12288.0 - 6950))
        await asyncio.sleep(1)
        body = await api.get("/v1/gpu/memory-forecast")
        surtr, fenrir = body["hosts"]
        assert (body["memory_pressure"], surtr["name"]) == ("NORMAL", "surtr")
        assert (surtr["memory_used_percent"], surtr["memory_pressure"]) == (56.5, "NORMAL")
        assert surtr["trend_mb_per_minute"] == pytest.approx(100, abs=2)
        assert (surtr["next_level"], surtr["basis"]["samples"]) == ("HIGH", 11)
        assert surtr["minutes_to_next_level"] == pytest.approx(16.5, abs=0.5)
        assert surtr["basis"]["span_s"] == pytest.approx(571, abs=3)
        assert fenrir == {
            "name": "fenrir", "memory_used_percent": None, "memory_pressure": None,
            "trend_mb_per_minute": None, "next_level": None, "minutes_to_next_level": None,
            "basis": {"samples": 0, "span_s": 0},
        }  # fmt: skip

    play(scene)


def test_a_single_reading_gives_no_trend() -> None:
    async def scene(api: Api) -> None:
        measure(api.house, "surtr", CARD)
        await asyncio.sleep(1)
        surtr = (await api.get("/v1/gpu/memory-forecast"))["hosts"][0]
        assert (surtr["memory_used_percent"], surtr["trend_mb_per_minute"]) == (60, None)
        assert (surtr["next_level"], surtr["basis"]["samples"]) == (None, 1)

    play(scene)


def test_minutes_without_memory_do_not_count() -> None:
    async def scene(api: Api) -> None:
        await api.house.store.record_minutes(past(10, used_mb=None, total_mb=None))
        surtr = (await api.get("/v1/gpu/memory-forecast"))["hosts"][0]
        assert surtr["basis"]["samples"] == 0

    play(scene)


# --- history --------------------------------------------------------------------------------------


def test_the_history_of_one_host_and_of_all() -> None:
    async def scene(api: Api) -> None:
        await api.house.store.record_minutes(past(90) + past(2, host="fenrir", used_share=None))
        body = await api.get("/v1/history")
        assert body["schema"] == "ygg.history/1"
        assert len(body["minutes"]) == 62
        first, last = (await api.get("/v1/history", host="surtr", minutes=2))["minutes"]
        assert (first["at"], last["at"]) == ("2027-01-15T07:58:00.000Z", "2027-01-15T07:59:00.000Z")
        assert last == {
            "host": "surtr", "at": "2027-01-15T07:59:00.000Z", "samples": 12, "slots": 1, "limit": 1,
            "running": 0.9, "waiting": 3, "started": 2, "wait_ms": 41_000, "wait_max_ms": 95_000,
            "memory_used_mb": 7373.0, "memory_total_mb": 12288.0, "memory_used_percent": 62.0,
            "temperature_c": 66.0, "utilization_percent": 44.0,
        }  # fmt: skip
        fenrir = (await api.get("/v1/history", host="fenrir"))["minutes"]
        assert [m["memory_used_percent"] for m in fenrir] == [None, None]

    play(scene)


@pytest.mark.parametrize("url", ["/v1/history", "/v1/tuning"])
def test_an_unknown_host_is_not_found(url: str) -> None:
    async def scene(api: Api) -> None:
        assert (await api.get(url, 404, host="nope"))["error"]["hint"] == "hosts: fenrir, surtr"

    play(scene)


@pytest.mark.parametrize(
    ("url", "query", "told"),
    [
        ("/v1/history", {"minutes": 0}, "minutes: expected 1 to 1440, got 0"),
        ("/v1/history", {"minutes": 1441}, "minutes: expected 1 to 1440"),
        ("/v1/history", {"minutes": 20161, "host": "surtr"}, "minutes: expected 1 to 20160"),
        ("/v1/history", {"hosts": "surtr"}, "hosts: unknown key, did you mean host?"),
        ("/v1/tuning", {"days": 15}, "days: expected 1 to 14, got 15"),
        ("/v1/tuning", {"days": "week"}, "days: expected 1 to 14, got week"),
        ("/v1/tuning", {"day": 1}, "day: unknown key, did you mean days?"),
    ],
)
def test_wrong_queries_are_refused(url: str, query: JsonDict, told: str) -> None:
    async def scene(api: Api) -> None:
        assert (await api.get(url, 422, **query))["error"]["message"].startswith(told)

    play(scene)


# --- advice ---------------------------------------------------------------------------------------


def test_the_advice_names_the_line_to_change_and_its_figures() -> None:
    async def scene(api: Api) -> None:
        await api.house.store.record_minutes(past(400))
        body = await api.get("/v1/tuning")
        assert (body["schema"], body["days"]) == ("ygg.tuning/1", 7)
        surtr, fenrir = body["hosts"]
        assert (surtr["host"], surtr["advice"]) == ("surtr", "more")
        assert (surtr["slots"], surtr["slots_advised"]) == (1, 2)
        assert surtr["change"] == "hosts.surtr.slots: 1 -> 2"
        figures = surtr["figures"]
        assert (figures["minutes"], figures["minutes_needed"]) == (400, 30)
        assert (figures["memory_percent"], figures["wait_s"]) == (62.0, 95.0)
        assert figures["waiting_utilization_percent"] == 44.0
        assert figures["last_at"] == "2027-01-15T07:59:00.000Z"
        assert (fenrir["advice"], fenrir["change"], fenrir["figures"]["minutes"]) == (
            "unknown",
            None,
            0,
        )
        (alone,) = (await api.get("/v1/tuning", host="surtr"))["hosts"]
        assert alone == surtr

    play(scene)


def test_the_advice_looks_back_as_far_as_it_is_asked_to() -> None:
    async def scene(api: Api) -> None:
        long_ago = START_MS - 3 * 86_400_000
        await api.house.store.record_minutes(past(400, before_ms=long_ago) + past(20))

        async def minutes(**query: int) -> int:
            body = await api.get("/v1/tuning", host="surtr", **query)
            found: int = body["hosts"][0]["figures"]["minutes"]
            return found

        assert (await minutes(), await minutes(days=1), await minutes(days=14)) == (420, 20, 420)

    play(scene)


def test_every_body_is_json_without_nan() -> None:
    async def scene(api: Api) -> None:
        for url in ("/v1/gpu/status", "/v1/gpu/memory-forecast", "/v1/history", "/v1/tuning"):
            assert json.dumps(await api.get(url), allow_nan=False)

    play(scene)


# --- the view elsewhere ---------------------------------------------------------------------------


def test_what_top_draws_counts_what_is_stored_now() -> None:
    async def scene(api: Api) -> None:
        await api.get("/v1/snapshot")
        await asyncio.sleep(0.3)
        await api.post("/v1/tasks", {"tasks": [{"prompt": "hello", "not_before": "1h"}]})
        body = (await api.get("/v1/snapshot"))["snapshot"]
        (later,) = body["scheduled"]
        assert later["title"] == "hello"
        counts = {tuple(place): n for place, n in body["counts"]["by"]}
        assert counts == {(2, "scheduled"): 1}

    play(scene)
