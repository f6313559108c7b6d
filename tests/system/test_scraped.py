"""A real daemon as Prometheus finds it: on an address of its own, with the counts of its run and of its process."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as plain

from tests.surface.test_metrics import Page
from tests.surface.test_tcp import free_port
from tests.system.rig import Daemon, daemon, hosts_yaml, sim_servers, until

SLOTS = {"a": 2}


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with sim_servers(tmp_path_factory.mktemp("sims"), 0.02, SLOTS) as found:
        yield found


def scrape(port: int) -> Page:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics")
    assert answer.status_code == 200, answer.text
    return Page(answer.text, plain(answer.text))


def scraping(folder: Path, urls: dict[str, str], metrics: str) -> Path:
    return hosts_yaml(folder / "hosts.yaml", urls, SLOTS, f"metrics: {{{metrics}}}\n")


def test_what_a_daemon_did_is_scraped_without_a_token(tmp_path: Path, urls: dict[str, str]) -> None:
    port = free_port()
    config = scraping(tmp_path, urls, f"listen: '0.0.0.0:{port}'")
    with daemon(tmp_path, config) as target:
        assert f"http://0.0.0.0:{port}/metrics" in target.text()
        with closing(target.remote()) as desk:
            (task,) = desk.submit([{"prompt": "hello"}])
            assert desk.wait(task["id"], 20)["state"] == "completed"
        page = scrape(port)
        assert page.total("ygg_tasks_total", outcome="completed") == 1
        assert page.total("ygg_tokens_total", direction="output") > 0
        assert page("process_open_fds") is not None
        assert page("ygg_stall_longest_seconds") is not None
        disk = shutil.disk_usage(tmp_path)
        assert page("ygg_store_size_bytes") == disk.total
        assert page("ygg_store_free_bytes") == pytest.approx(disk.free, rel=0.1)
        until(lambda: (scrape(port)("ygg_loop_lag_seconds_count") or 0) > 1)
        assert httpx.get(f"http://127.0.0.1:{port}/v1/queue").status_code == 404


def test_another_address_takes_a_new_start_and_names_change_with_a_reload(
    tmp_path: Path, urls: dict[str, str]
) -> None:
    first, second = free_port(), free_port()
    config = scraping(tmp_path, urls, f"listen: '127.0.0.1:{first}'")
    with daemon(tmp_path, config) as target:
        assert "task_queue_depth" in scrape(first).families
        scraping(tmp_path, urls, f"listen: '127.0.0.1:{second}'")
        done = target.ygg("reload")
        assert done.returncode == 78
        assert "metrics.listen is another one, which takes a new start" in done.stderr
        scraping(tmp_path, urls, f"listen: '127.0.0.1:{first}', legacy: false")
        target.signal(signal.SIGHUP)
        until(lambda: "metrics: legacy True -> False" in target.text())
        assert "task_queue_depth" not in scrape(first).families


def test_an_address_that_is_taken_is_no_start(tmp_path: Path, urls: dict[str, str]) -> None:
    port = free_port()
    config = scraping(tmp_path, urls, f"listen: '127.0.0.1:{port}'")
    other = tmp_path / "other"
    other.mkdir()
    with daemon(tmp_path, config):
        second = Daemon(other, config)
        second.spawn()
        assert second.wait() == 69
        assert f"cannot listen on 127.0.0.1:{port}" in second.text()
