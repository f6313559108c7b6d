"""A task that is gone: why, and until when it could have been there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.surface.cli import Cli
from ygg.api.pruned import explained
from ygg.errors import NotFound
from ygg.intake.ids import made_ms, new_id
from ygg.model import Policy, Pruned, State
from ygg.stores.sqlite import open_store

NOW = 1_800_000_000_000
GONE = NotFound("no task x", hint="ygg list")


@given(st.integers(1, 32**9 - 1), st.integers(0, 2**30 - 1))
def test_an_id_tells_when_it_was_made(at: int, bits: int) -> None:
    assert made_ms(new_id(at, bits)) == at


@pytest.mark.parametrize(
    "no_id", ["", "x", "1mcc5rm46", "zy1ma8", "1mcc5rm46-zy1mauu", "1mcc5rm4l-zy1ma8"]
)
def test_what_is_no_whole_id_tells_nothing(no_id: str) -> None:
    assert made_ms(no_id) is None
    assert explained(GONE, no_id, Policy(), NOW, None) is GONE


def test_a_task_that_may_have_been_deleted_says_after_how_long() -> None:
    found = explained(GONE, new_id(NOW - 400_000, 1), Policy(), NOW, None)
    assert "no task x any more, submitted 2027-01-15 " in found.message
    assert found.message.endswith(
        "deleted after 7d, and 5m after its result was first read over HTTP"
    )
    assert explained(GONE, new_id(NOW - 200_000, 1), Policy(), NOW, None) is GONE, (
        "too young for that"
    )
    assert explained(GONE, new_id(NOW + 9, 1), Policy(), NOW, None) is GONE, "of another house"


def test_a_task_that_is_remembered_says_when_it_went_and_why() -> None:
    task = Pruned("x", State.COMPLETED, NOW, None, NOW + 60_000)
    at, hour = datetime.fromtimestamp(NOW / 1000).astimezone(), "%Y-%m-%d %H:%M:%S"
    deleted = f"deleted {at + timedelta(minutes=1):{hour}}"
    found = explained(GONE, "x", Policy(), NOW, task)
    assert found.message == f"no task x any more: completed {at:{hour}}, {deleted}"
    assert "policies.retention" in (found.hint or "")
    read = explained(GONE, "x", Policy(), NOW, replace(task, read_ms=NOW + 1000))
    first = f"result first read {at + timedelta(seconds=1):{hour}}"
    assert read.message == f"no task x any more: completed {at:{hour}}, {first}, {deleted}"


def test_the_database_remembers_what_was_deleted(offline: Cli) -> None:
    task_id = offline.submit("hello", "--retention", "1s")
    offline.ok("cancel", task_id)

    made = made_ms(task_id)
    assert made is not None

    async def prune() -> None:
        store = open_store(offline.state / "ygg.db")
        assert await store.prune(made + 60_000) == 1
        await store.close()

    asyncio.run(prune())
    for end in (task_id, task_id[-6:]):
        ran = offline("result", end)
        assert ran.code == 3
        assert f"no task {end} any more: cancelled 20" in ran.err
        assert ", deleted 20" in ran.err


@pytest.mark.parametrize("verb", ["show", "result", "why", "cancel"])
def test_commands_say_so_with_a_daemon_and_without(either: Cli, verb: str) -> None:
    either.submit("hello", "--not-before", "1h")
    ran = either(verb, new_id(1_600_000_000_000, 7))
    assert ran.code == 3
    assert "any more, submitted 2020-09-13 " in ran.err
    assert verb == "cancel" or "policies.retention" in ran.err
