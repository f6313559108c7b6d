"""Chapter G: servers that ask to be left alone, for a day or for nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.cases.house import House, config, house
from tests.cases.scripted import Reply, Script, scripted
from tests.system.rig import until

DONE = Reply('{"message": {"content": "hi"}, "done": true}')
MOST_S = 300


@pytest.fixture(scope="module")
def server() -> Iterator[Script]:
    with scripted(DONE) as script:
        yield script


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, server: Script) -> Iterator[House]:
    text = config({"surtr": server}, policies="{defer: [1s], max_deferrals: 100, drain: 1s}")
    with house(tmp_path_factory.mktemp("pauses"), text) as running:
        yield running


def busy(headers: dict[str, str], status: int = 429) -> Reply:
    return Reply('{"error": "slow down"}', status, headers)


def http_date(ahead: timedelta) -> str:
    return format_datetime(datetime.now(UTC) + ahead, usegmt=True)


def left_s(text: str | None) -> float:
    """Seconds until then; 0 for never."""
    if text is None:
        return 0.0
    return (datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds()


def host(home: House) -> dict[str, Any]:
    return dict(json.loads(home.ygg("hosts", "--json").stdout)["hosts"][0])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Retry-After": "99999999999"}, 429),
        ({"Retry-After": "9" * 400}, 503),
        ({"Retry-After": http_date(timedelta(days=365_000))}, 503),
        ({"Retry-After": http_date(timedelta(hours=9))}, 429),
    ],
    ids=["seconds", "digits", "thousand-years", "date"],
)
def test_a_pause_is_believed_for_minutes_and_a_person_ends_it(
    home: House, server: Script, headers: dict[str, str], status: int
) -> None:
    server.reply = busy(headers, status)
    task = home.submit("x")
    until(lambda: home.task(task)["state"] == "scheduled", 20, "it is deferred")
    server.reply = DONE
    assert 0 < left_s(home.task(task)["due_at"]) <= MOST_S
    pause = until(lambda: host(home)["busy_until"], 20, "the view shows it")
    assert 0 < left_s(pause) <= MOST_S
    home.ygg("retry", task)
    until(lambda: home.task(task)["state"] == "queued", 20, "it waits for the host alone")
    assert home.ygg("hosts", "resume", "surtr").returncode == 0
    assert home.end(task)["state"] == "completed"
    until(lambda: host(home)["busy_until"] is None, 20, "it is over")


YESTERDAY = pytest.param(http_date(timedelta(-1)), id="yesterday")


@pytest.mark.parametrize("value", ["0", "0.001", "-5", "soon", "1e9", "", YESTERDAY])
def test_a_pause_that_is_none_is_a_short_one_of_ours(
    home: House, server: Script, value: str
) -> None:
    server.reply = busy({"Retry-After": value})
    asked = len(server.calls)
    task = home.submit("x")
    until(lambda: home.task(task)["deferrals"] == 1, 20, "it is deferred")
    assert left_s(home.task(task)["due_at"]) < 5
    assert len(server.calls) == asked + 1
    server.reply = DONE
    assert home.end(task)["state"] == "completed"


def test_the_clock_of_the_server_counts_for_its_dates(home: House, server: Script) -> None:
    ahead = timedelta(hours=3)
    dates = {"Date": http_date(ahead), "Retry-After": http_date(ahead + timedelta(seconds=2))}
    server.reply = busy(dates)
    task = home.submit("x")
    until(lambda: home.task(task)["deferrals"] == 1, 20, "it is deferred")
    server.reply = DONE
    assert left_s(home.task(task)["due_at"]) < 5
    assert home.end(task)["state"] == "completed"
