"""GET /metrics: every family by name and type, the mission's names as it writes them, figures that agree with the API, labels that
stay few whatever anybody says, and addresses that serve nothing else."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain

from tests.shell.readings import CARD, measure
from tests.shell.virtual import run_virtual, until
from tests.surface.test_tcp import free_port
from tests.surface.test_tokens import LAN, bearer, house
from tests.surface.test_verbs import handlers
from tests.surface.view_world import host
from tests.surface.world import Api, api, config, play, served
from ygg.config import from_dict
from ygg.core import events as ev
from ygg.errors import ConfigError, StoreError
from ygg.metrics import Drawn
from ygg.metrics.page import families, page
from ygg.model import Counts, Health, HostHealth, OutcomeKind, ReasonCode, Snapshot, State
from ygg.running import loop as run_loop
from ygg.telling.tally import OTHER, TOLD, Tally

OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
#: From the mission, word for word.
MISSION = """\
# Queue depth
task_queue_depth{priority="high"} 2
task_queue_depth{priority="normal"} 4
task_queue_depth{priority="low"} 0

# Processing
tasks_processing{model="tiny-llama-1b"} 1
tasks_processing{model="bi-medix2-8b"} 0

# Performance
task_processing_time_ms{percentile="p50"} 1250
task_processing_time_ms{percentile="p95"} 3500
task_processing_time_ms{percentile="p99"} 5000

# Throughput
tasks_per_minute 48
task_completion_rate 0.98

# GPU
gpu_memory_used_percent 50
gpu_temperature_celsius 49
"""
#: Every family, with its type.
LEGACY = dict.fromkeys((
    "task_queue_depth", "tasks_processing", "task_processing_time_ms", "tasks_per_minute", "task_completion_rate",
    "gpu_memory_used_percent", "gpu_temperature_celsius",
), "gauge")  # fmt: skip
OURS = {
    **dict.fromkeys((
        "ygg_build_info", "ygg_dispatch_paused", "ygg_draining", "ygg_store_error", "ygg_config_error",
        "ygg_queue_tasks", "ygg_queue_waiting_tasks", "ygg_queue_drain_seconds", "ygg_tasks_running",
        "ygg_host_up", "ygg_host_drained", "ygg_host_sick_models", "ygg_host_check_seconds", "ygg_host_slots", "ygg_host_throttled",
        "ygg_gpu_memory_used_bytes", "ygg_gpu_memory_total_bytes", "ygg_gpu_memory_pressure_ratio", "ygg_gpu_temperature_celsius",
        "ygg_gpu_temperature_margin_celsius", "ygg_gpu_power_watts", "ygg_gpu_utilization_ratio", "ygg_gpu_lost",
        "ygg_telemetry_sample_timestamp_seconds", "ygg_stall_longest_seconds", "ygg_store_free_bytes", "ygg_store_size_bytes",
    ), "gauge"),
    **dict.fromkeys((
        "ygg_tasks_submitted", "ygg_tasks", "ygg_task_retries", "ygg_stale_ends", "ygg_cache_requests", "ygg_tokens",
        "ygg_model_loads", "ygg_telemetry_errors", "ygg_stalls",
    ), "counter"),
    **dict.fromkeys((
        "ygg_task_duration_seconds", "ygg_task_queue_wait_seconds", "ygg_loop_lag_seconds",
    ), "histogram"),
}  # fmt: skip
Scene = Callable[[Api], Coroutine[Any, Any, None]]


class Page:
    """One scrape, read by the library's own parser."""

    def __init__(self, text: str, found: Iterable[Metric]) -> None:
        self.text, self.families = text, {family.name: family for family in found}

    def __call__(self, sample: str, **labels: str) -> float | None:
        """The value of the sample with exactly these labels."""
        found = [s.value for f in self.families.values() for s in f.samples if (s.name, s.labels) == (sample, labels)]  # fmt: skip
        assert len(found) < 2, f"{sample} twice"
        return found[0] if found else None

    def total(self, sample: str, **labels: str) -> float:
        """The sum over those that have these labels among theirs."""
        samples = [s for f in self.families.values() for s in f.samples if s.name == sample]
        return sum(s.value for s in samples if labels.items() <= s.labels.items())

    def labels(self, name: str, label: str) -> set[str]:
        """The values of a label in a family."""
        return {s.labels[label] for s in self.families[name].samples}


async def scraped(found: Api) -> Page:
    response = await found.http.get("/metrics")
    assert response.status_code == 200, response.text
    return Page(response.text, plain(response.text))


async def ended(found: Api, **fields: Any) -> str:
    task_id = str((await found.submit(**fields))["task_id"])
    await found.ended(task_id)
    return task_id


def ours(page: Page) -> dict[str, str]:
    """Without those of the process."""
    kinds = {name: f.type for name, f in page.families.items()}
    return {name: kind for name, kind in kinds.items() if not name.startswith("process_")}


# --- names ----------------------------------------------------------------------------------------


def test_every_family_has_its_name_and_type_and_is_announced_while_nothing_is_known() -> None:
    async def scene(found: Api) -> None:
        page = await scraped(found)
        assert ours(page) == LEGACY | OURS
        assert page("gpu_temperature_celsius") is None, "telemetry is off"
        assert page.families["ygg_gpu_temperature_celsius"].samples == []
        assert all(len(f.documentation) > 10 for f in page.families.values())
        if sys.platform == "linux":
            assert page.total("process_resident_memory_bytes") > 0

    play(scene)


def test_without_a_dispatcher_the_same_families_tell_what_the_store_says() -> None:
    async def main() -> None:
        answer = await handlers().scraped.metrics("")
        page = Page(answer.content.decode(), plain(answer.content.decode()))
        assert ours(page) == LEGACY | OURS
        assert page("ygg_queue_tasks", state="queued", priority="normal") == 0
        assert page("ygg_host_up", host="surtr") is None, "it was not asked"

    run_virtual(main())


def test_the_mission_s_example_is_written_in_our_names() -> None:
    async def scene(found: Api) -> None:
        measure(found.house, "surtr", CARD)
        await ended(found)
        page = await scraped(found)
        for example in plain(MISSION):
            there = page.families[example.name]
            assert there.type == "gauge"
            for sample in example.samples:
                assert {s.name for s in there.samples} == {sample.name}
                assert {tuple(s.labels) for s in there.samples} == {tuple(sample.labels)}
                if sample.labels.keys() != {"model"}:
                    assert sample.labels in [s.labels for s in there.samples]

    play(scene)


def test_the_mission_s_names_can_be_left_out() -> None:
    page = {f.name: f for f in drawn(config_with(metrics={"legacy": False}))}
    assert page.keys() & LEGACY.keys() == set()
    assert OURS.keys() <= page.keys()


def config_with(**more: Any) -> Any:
    data = {
        "hosts": {"surtr": {"slots": 1, "backend": "ollama", "models": ["m"], "url": "http://surtr:11434"}},
        "task_types": {"general": {"route": ["surtr"]}}, **more,
    }  # fmt: skip
    return from_dict(data, "test")


VIEW = Snapshot(1, 0, 1, False, False, (), (), (), (), Counts({}))


def drawn(settings: Any, tally: Tally | None = None) -> Iterable[Metric]:
    return families(Drawn(VIEW, tally or Tally(), settings, {}))


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool here: apt install prometheus")
def test_promtool_finds_nothing_to_say_but_of_a_name_of_the_mission() -> None:
    async def scene(found: Api) -> None:
        measure(found.house, "surtr", CARD)
        await ended(found)
        text = (await scraped(found)).text
        tool = ["promtool", "check", "metrics"]
        checked = subprocess.run(tool, input=text, capture_output=True, text=True, check=False)
        lines = (checked.stdout + checked.stderr).splitlines()
        assert [line for line in lines if line.split()[0] not in LEGACY] == []
        assert {line.split()[0] for line in lines} == {"task_processing_time_ms"}

    play(scene)


# --- formats --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "kind", "parse"),
    [
        (None, "text/plain; version=0.0.4", plain),
        ("*/*", "text/plain; version=0.0.4", plain),
        ("text/plain;version=0.0.4;q=0.3,*/*;q=0.2", "text/plain; version=0.0.4", plain),
        (OPEN_METRICS["Accept"], "application/openmetrics-text; version=1.0.0", open_metrics),
        (f"{OPEN_METRICS['Accept']};q=0.5,text/plain;version=0.0.4;q=0.3", "application/openmetrics-text", open_metrics),
    ],
)  # fmt: skip
def test_who_accepts_openmetrics_gets_it(accept: str | None, kind: str, parse: Any) -> None:
    async def scene(found: Api) -> None:
        await ended(found)
        found.http.headers.pop("Accept")
        response = await found.http.get("/metrics", headers={"Accept": accept} if accept else {})
        assert response.headers["Content-Type"].startswith(kind)
        assert "charset=utf-8" in response.headers["Content-Type"]
        page = Page(response.text, parse(response.text))
        assert OURS.keys() <= page.families.keys()
        assert page("ygg_tasks_total", host="surtr", model="m", type="general", outcome="completed") == 1  # fmt: skip
        assert "_created" not in response.text

    play(scene)


@pytest.mark.parametrize(
    "version",
    [
        "abc",
        "2.0.0",
        "9" * 40,
        "1.0.0\u00e9",
        "1.0.0 x",
        "-1",
        "1..0",
        "\u0661.0.0",
        " 1.0.0",
        "2;version=1.0.0",
        "1.0.0;version=2",
    ],
)
def test_a_version_that_there_is_not_is_none_that_is_written(version: str) -> None:
    content, kind = page(Drawn(VIEW, Tally(), config_with(), {}), f"text/plain;version={version},application/openmetrics-text; version={version}")  # fmt: skip
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert OURS.keys() <= {f.name for f in plain(content.decode())}


# --- figures --------------------------------------------------------------------------------------


def test_what_a_task_goes_through_is_counted_once() -> None:
    async def scene(found: Api) -> None:
        for _ in range(3):
            await ended(found, priority="HIGH")
        found.surtr.fault = OutcomeKind.BAD_REQUEST
        await ended(found)
        found.surtr.fault = None
        queued = await found.submit(not_before=3600)
        for _ in range(2):  # a second time it is no news
            await found.http.delete(f"/v1/async/cancel/{queued['task_id']}")
            await asyncio.sleep(0.01)
        page = await scraped(found)
        assert page("ygg_tasks_submitted_total", priority="high") == 3
        assert page("ygg_tasks_submitted_total", priority="normal") == 2
        where = {"host": "surtr", "model": "m"}
        assert page("ygg_tasks_total", **where, type="general", outcome="completed") == 3
        assert page("ygg_tasks_total", **where, type="general", outcome="failed") == 1
        nowhere = {"host": "", "model": ""}
        assert page("ygg_tasks_total", **nowhere, type="general", outcome="cancelled") == 1
        assert page.total("ygg_tasks_total") == 5
        assert page("ygg_tokens_total", **where, direction="output") == 3 * found.surtr.pieces
        assert page("ygg_task_duration_seconds_count", **where, outcome="completed") == 3
        assert page("ygg_task_duration_seconds_sum", **where, outcome="completed") == pytest.approx(3)  # fmt: skip
        assert page("ygg_task_duration_seconds_bucket", **where, outcome="completed", le="0.5") == 0
        assert page("ygg_task_duration_seconds_bucket", **where, outcome="completed", le="1.0") == 3
        assert page("ygg_task_duration_seconds_count", **where, outcome="bad_request") == 1
        assert page("ygg_task_queue_wait_seconds_count", priority="high") == 3
        assert page("task_completion_rate") == 3 / 4
        assert page("task_processing_time_ms", percentile="p99") == 1000

    play(scene)


def test_an_attempt_after_which_a_task_waits_again_is_a_retry_and_no_end() -> None:
    async def scene(found: Api) -> None:
        found.surtr.breaks = [OutcomeKind.ERROR]
        await ended(found)
        page = await scraped(found)
        assert page.total("ygg_task_retries_total") == 1
        assert page.labels("ygg_task_retries", "reason") <= set(ReasonCode)
        assert page.total("ygg_tasks_total") == 1
        assert page.total("ygg_task_duration_seconds_count", outcome="error") == 1
        assert page.total("ygg_task_duration_seconds_count", outcome="completed") == 1

    play(scene)


def test_what_expires_in_the_queue_has_ended_and_names_no_type() -> None:
    async def scene(found: Api) -> None:
        await found.post("/v1/queue/pause")
        await found.post("/v1/tasks", {"tasks": [{"prompt": "x", "deadline": "2m"}]})
        board = found.house.dispatcher.board
        await until(lambda: not board.where)
        page = await scraped(found)
        labels = {"host": "", "model": "", "type": "", "outcome": "expired"}
        assert page("ygg_tasks_total", **labels) == 1

    play(scene)


def test_what_the_cache_served_is_told_apart() -> None:
    async def main() -> None:
        async with api(settings=config(cache_ttl="5m")) as found:
            await ended(found)
            await ended(found)
            await ended(found, cache=False)
            await found.post("/v1/queue/pause")
            for _ in range(2):
                await found.submit(title="waits", temperature=0.5, cache=True, coalesce=True)
            page = await scraped(found)
            results = {r: page("ygg_cache_requests_total", result=r) for r in ("hit", "miss", "joined")}  # fmt: skip
            assert results == {"hit": 1, "miss": 2, "joined": 1}
            assert page.total("ygg_tasks_submitted_total") == 4
            assert page.total("ygg_tasks_total") == 2, "an answer of the cache ran nowhere"

    run_virtual(main())


def test_readings_that_come_and_fail_are_told_by_host_and_source() -> None:
    async def scene(found: Api) -> None:
        probe = measure(found.house, "surtr", CARD)
        task = await found.submit()
        await found.running(task["task_id"])
        dispatcher = found.house.dispatcher
        await until(lambda: bool(dispatcher.snapshot(0).hosts[0].gpus))
        page = await scraped(found)
        card = {"host": "surtr", "gpu": "0", "uuid": "GPU-1"}
        assert page("ygg_gpu_memory_total_bytes", **card) == 12288 * 2**20
        assert page("ygg_gpu_memory_used_bytes", **card) == (12288 - 4915) * 2**20
        assert page("ygg_gpu_memory_pressure_ratio", **card) == pytest.approx(0.6, abs=1e-4)
        assert page("ygg_gpu_temperature_margin_celsius", **card) == 27
        assert page("ygg_gpu_utilization_ratio", **card) == 0.82
        assert page("gpu_temperature_celsius") == 63
        came = page("ygg_telemetry_sample_timestamp_seconds", host="surtr", source="nvml")
        assert came == pytest.approx(dispatcher.loop.clock.now_ms() / 1000, abs=5)
        assert page.total("ygg_telemetry_errors_total") == 0
        probe.sample = _fails  # type: ignore[method-assign]
        await found.ended(task["task_id"])
        await found.running((await found.submit())["task_id"])
        errors = dispatcher.tally.unread
        await until(lambda: errors["surtr", "nvml"] > 0)
        assert (await scraped(found)).total("ygg_telemetry_errors_total", host="surtr", source="nvml") > 0  # fmt: skip

    play(scene)


async def _fails() -> Any:
    raise RuntimeError("the driver is gone")


def test_a_hot_host_is_throttled_for_that_reason_alone() -> None:
    async def scene(found: Api) -> None:
        measure(found.house, "surtr", replace(CARD, temperature_c=95.0, margin_c=-5.0))
        await found.submit()
        dispatcher = found.house.dispatcher
        await until(lambda: dispatcher.snapshot(0).hosts[0].limit == 0)
        page = await scraped(found)
        reasons = {r: page("ygg_host_throttled", host="surtr", reason=r) for r in page.labels("ygg_host_throttled", "reason")}  # fmt: skip
        assert {r for r, v in reasons.items() if v} == {"hot"}
        assert page("ygg_host_slots", host="surtr", state="limit") == 0
        assert page("ygg_host_slots", host="surtr", state="configured") == 1

    play(scene)


def test_a_host_without_readings_is_throttled_for_that_reason() -> None:
    view = replace(VIEW, hosts=(host("a", 4, limit=1, limit_cause="blind"), host("b", 4)))
    page = {f.name: f for f in families(Drawn(view, Tally(), config_with(), {}))}
    held = [s.labels for s in page["ygg_host_throttled"].samples if s.value]
    assert held == [{"host": "a", "reason": "blind"}]


def test_the_readings_of_a_host_that_is_gone_are_not_told() -> None:
    tally = Tally(read_ms={("a", "nvml"): 5000, ("gone", "nvml"): 4000})
    view = replace(VIEW, hosts=(host("a", 1),))
    page = {f.name: f for f in families(Drawn(view, tally, config_with(), {}))}
    samples = page["ygg_telemetry_sample_timestamp_seconds"].samples
    assert [(s.labels["host"], s.value) for s in samples] == [("a", 5.0)]


def test_a_scrape_takes_no_step_and_reads_no_more_of_the_store_than_a_snapshot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(found: Api) -> None:
        await ended(found)
        steps, step = list[Any](), run_loop.step
        monkeypatch.setattr(run_loop, "step", lambda b, e, n: steps.append(e) or step(b, e, n))
        asked, store = list[str](), found.house.store
        for name in ("counts", "scheduled", "find", "get", "heads", "lanes", "minutes", "running"):
            monkeypatch.setattr(store, name, _noted(asked, name, getattr(store, name)))
        await scraped(found)
        assert (steps, set(asked)) == ([], {"counts", "scheduled"})

    play(scene)


def _noted(asked: list[str], name: str, verb: Any) -> Any:
    def noted(*args: Any, **more: Any) -> Any:
        asked.append(name)
        return verb(*args, **more)

    return noted


def test_a_store_that_fails_is_told_and_the_rest_is_drawn_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(found: Api) -> None:
        await ended(found)
        assert (await scraped(found))("ygg_store_error") == 0

        async def fails() -> Counts:
            raise StoreError("the disk does not answer")

        monkeypatch.setattr(found.house.store, "counts", fails)
        page = await scraped(found)
        assert page("ygg_store_error") == 1
        assert page("ygg_host_up", host="surtr") == 1

    play(scene)


# --- labels ---------------------------------------------------------------------------------------


def test_names_that_clients_make_up_become_other() -> None:
    async def scene(found: Api) -> None:
        hostile = 'x"}\n# TYPE evil counter\nevil 1'
        for n in range(30):
            await found.post(
                "/v1/tasks", {"tasks": [{"prompt": f"secret-{n}", "type": f"type-{n}", "model": f"{hostile}-{n}",
                                         "host": "surtr", "title": f"title-{n}", "labels": [f"label-{n}"]}]},
            )  # fmt: skip
        for n in range(3):
            await ended(found, agent_type=f"kind-{n}")
        await until(lambda: not found.house.dispatcher.board.where)
        page = await scraped(found)
        names = page.labels("ygg_tasks", "model") | page.labels("tasks_processing", "model")
        names |= page.labels("ygg_tasks_running", "model") | page.labels("ygg_tokens", "model")
        assert names <= {"m", OTHER, ""}
        assert page.labels("ygg_tasks", "type") == {OTHER}
        for secret in ("evil", "secret-", "title-", "label-", "kind-"):
            assert secret not in page.text

    play(scene)


def test_models_that_servers_make_up_are_named_up_to_a_bound() -> None:
    async def scene(found: Api) -> None:
        dispatcher = found.house.dispatcher
        await until(lambda: dispatcher.snapshot(0).hosts[0].health is HostHealth.UP)

        def tells(name: str, *loaded: str) -> None:
            health = Health(HostHealth.UP, models=("m", name), loaded=loaded)
            dispatcher.loop.feed(ev.HostChecked("surtr", "main", health))

        for name in (f"made-up-{n}" for n in range(3 * TOLD)):
            tells(name)
            tells(name, name)
        names = (await scraped(found)).labels("ygg_model_loads", "model")
        assert OTHER in names
        assert len(names) <= TOLD + 1
        assert "made-up-0" in names

    play(scene)


def test_a_model_of_hosts_yaml_is_told_as_it_is_written_there() -> None:
    odd = 'a "quoted" \\ model\nof two lines'
    settings = config_with()
    tally = Tally()
    tally.models.add(odd)
    tally.loads["surtr", odd] = 2
    found = {f.name: f for f in drawn(settings, tally)}
    assert [s.labels["model"] for s in found["ygg_model_loads"].samples] == [odd]


# --- who pays for it ------------------------------------------------------------------------------


def test_nobody_loads_the_library_before_the_first_scrape() -> None:
    modules = "ygg.daemon, ygg.api.handlers, ygg.api.outside, ygg.api.offline, ygg.metrics"
    code = f"import sys, {modules}; print('prometheus_client' in sys.modules)"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "False"


def test_what_is_drawn_in_a_thread_does_not_change_meanwhile() -> None:
    tally = Tally()
    tally.ended["a", "m", "x", State.COMPLETED] += 1
    tally.waits.observe(("high",), 0.2)
    tally.lag.observe(0.002)
    kept = tally.copy()
    before = [[*f.samples] for f in drawn(config_with(), kept) if f.name.startswith("ygg_")]
    tally.ended["a", "m", "x", State.COMPLETED] += 1
    tally.waits.observe(("high",), 3.0)
    tally.waits.observe(("low",), 3.0)
    tally.lag.observe(3.0)
    tally.read_ms["a", "nvml"] = 7
    after = [[*f.samples] for f in drawn(config_with(), kept) if f.name.startswith("ygg_")]
    assert after == before


# --- who may ask ----------------------------------------------------------------------------------


def test_over_the_api_a_token_that_may_read_lets_in() -> None:
    async def main() -> None:
        async with house(LAN) as (found, outside):
            assert (await outside.get("/metrics")).status_code == 401
            as_ = await bearer(found, "prometheus", scope="read")
            assert (await outside.get("/metrics", headers=as_)).status_code == 200

    run_virtual(main())


def test_an_address_of_its_own_serves_metrics_and_nothing_else(tmp_path: Path) -> None:
    api_port, port = free_port(), free_port()
    listen, scraped_at = f"127.0.0.1:{api_port}", f"127.0.0.1:{port}"
    with served(tmp_path / "ygg.sock", listen=[listen], scraped=[scraped_at]):
        with httpx.Client(base_url=f"http://{scraped_at}") as client:
            wrong = {"Authorization": "Bearer ygg_that-nobody-gave-out"}
            for headers in ({}, wrong):
                answer = client.get("/metrics", headers=headers)
                assert answer.status_code == 200
                assert OURS.keys() <= {f.name for f in plain(answer.text)}
            assert client.get("/healthz").json() == {"status": "ok"}
            for path in ("/", "/readyz", "/v1/status", "/v1/snapshot", "/openapi.json"):
                refused = client.get(path)
                assert refused.status_code == 404
            assert refused.json()["error"]["hint"] == "there is: GET /healthz, GET /metrics"
            assert client.post("/v1/queue/pause").status_code == 404
            page = {"Origin": "http://evil.example"}
            assert client.get("/metrics", headers=page).status_code == 403
            assert client.get("/metrics", headers={"Host": "evil.example"}).status_code == 403
        with httpx.Client(base_url=f"http://{listen}") as client:
            assert client.get("/metrics").status_code == 200
            assert client.get("/v1/queue").status_code == 200


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({"listen": "127.0.0.1:8420"}, "metrics.listen"),
        ({"listen": ["127.0.0.1:9420", "192.168.1.5:8420"]}, "metrics.listen"),
        ({"listen": "9420"}, "metrics.listen"),
        ({"legacy": "yes please"}, "metrics.legacy"),
        ({"port": 9420}, "metrics.port"),
    ],
)
def test_an_address_that_cannot_be_is_refused(metrics: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace(".", r"\.")):
        config_with(api={"listen": "127.0.0.1:8420"}, metrics=metrics)


def test_one_open_to_the_network_needs_no_token() -> None:
    settings = config_with(metrics={"listen": ["0.0.0.0:9420", "[::]:9420"]})
    assert settings.metrics.listen == ("0.0.0.0:9420", "[::]:9420")
    assert settings.metrics.legacy


# --- the page on it -------------------------------------------------------------------------------

DOCS = Path(__file__).resolve().parents[2] / "docs" / "monitoring.md"


def test_the_page_names_every_family_with_its_kind_and_labels() -> None:
    async def scene(found: Api) -> None:
        measure(found.house, "surtr", CARD)
        await ended(found)
        page, rows = (
            await scraped(found),
            [r for r in DOCS.read_text().splitlines() if r[:1] == "|"],
        )
        for name, family in page.families.items():
            written = f"`{name}_total`" if family.type == "counter" else f"`{name}`"
            row = next((r for r in rows if written in r.split(" | ")[0]), "")
            assert row or name.startswith("process_"), f"{name} is not on the page"
            given = {label for s in family.samples for label in s.labels} - {"le"}
            assert all(label in row.split(" | ")[1 if name in LEGACY else 2] for label in given), (
                row
            )
            assert name not in OURS or row.split(" | ")[1] == family.type

    play(scene)


def test_what_the_page_asks_prometheus_for_is_there() -> None:
    text = DOCS.read_text()
    counters = {f"{name}_total" for name, kind in OURS.items() if kind == "counter"}
    known = counters | {name for name, kind in OURS.items() if kind == "gauge"} | LEGACY.keys()
    known |= {
        f"{name}_{part}"
        for name, kind in OURS.items()
        if kind == "histogram"
        for part in ("sum", "count", "bucket")
    }
    asked = set(
        re.findall(
            r"\b(ygg_\w+|tasks?_\w+|gpu_\w+)(?=[{\[ ]| [><=])",
            text.partition("The guide's alerts")[2],
        )
    )
    assert len(asked) >= 7
    assert asked <= known
