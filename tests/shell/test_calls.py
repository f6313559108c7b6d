"""The attempt chain over backends that are plain generators: clocks, blame, cancellation, bugs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from tests.backends.calls import call
from ygg.model import (
    Call,
    CallLimits,
    Endpoint,
    Health,
    HostHealth,
    Outcome,
    OutcomeKind,
    ToolDelta,
    Usage,
)
from ygg.ports import AttemptStarted, Backend, CallFailed, Done, Piece
from ygg.running import calls, message
from ygg.running.calls import run_call

Item = AttemptStarted | Piece
Script = Callable[[], AsyncIterator[Piece | Done]]
DONE = Done("stop", "sim", Usage(output_tokens=2))
FOREVER = CallLimits(1.0, 60.0, 60.0, 60.0)


async def outcome_of(
    one: Call, backend: Backend, on_item: Callable[[Item], object] = lambda item: None
) -> Outcome:
    """Run a call of one attempt; how that ended."""
    outcomes = await run_call(one, backend, lambda _, item: on_item(item))
    assert list(outcomes) == [one.attempt.id]
    return outcomes[one.attempt.id]


class Fake:
    """A backend that plays one script. `closed` counts streams that were closed."""

    def __init__(self, script: Script, health: Health | None = None) -> None:
        self.endpoint = Endpoint("main", "ollama", "http://box")
        self.script = script
        self.health = health or Health(HostHealth.UP)
        self.checks: list[float] = []
        self.closed = 0

    async def stream(self, call: Call) -> AsyncIterator[Piece | Done]:
        try:
            async for item in self.script():
                yield item
        finally:
            self.closed += 1

    async def check(self, timeout_s: float = 3.0) -> Health:
        self.checks.append(timeout_s)
        return self.health

    async def inside(self, timeout_s: float = 3.0) -> int | None:
        raise AssertionError("nobody asks for it")

    async def unload(self, model: str) -> bool:
        raise AssertionError("an attempt unloads nothing")

    async def close(self) -> None:
        raise AssertionError("an attempt does not close its backend")


async def run(
    backend: Fake, items: list[Item] | None = None, limits: CallLimits = FOREVER
) -> Outcome:
    seen: list[Item] = [] if items is None else items
    return await outcome_of(call(limits=limits), backend, seen.append)


async def two_words() -> AsyncIterator[Piece | Done]:
    yield Piece()
    yield Piece("", "hmm")
    yield Piece("forty-")
    yield Piece("two")
    yield DONE


async def test_a_whole_answer_becomes_a_result() -> None:
    items: list[Item] = []
    outcome = await run(Fake(two_words), items)
    assert outcome.kind is OutcomeKind.COMPLETED
    assert outcome.result is not None
    assert outcome.result.content == "forty-two"
    assert outcome.result.thinking == "hmm"
    assert outcome.result.backend == "ollama"
    assert outcome.result.usage.output_tokens == 2


async def test_followers_get_the_start_and_every_piece_with_text() -> None:
    items: list[Item] = []
    await run(Fake(two_words), items)
    started = AttemptStarted(1, "box", "sim")
    assert items == [started, Piece("", "hmm"), Piece("forty-"), Piece("two")]


async def test_first_token_and_total_are_measured_here() -> None:
    async def slow() -> AsyncIterator[Piece | Done]:
        await asyncio.sleep(0.02)
        yield Piece("a")
        await asyncio.sleep(0.02)
        yield DONE

    outcome = await run(Fake(slow))
    assert outcome.result is not None
    usage = outcome.result.usage
    assert usage.first_token_ms is not None
    assert usage.total_ms is not None
    assert 19 <= usage.first_token_ms < usage.total_ms
    assert usage.total_ms >= 39


async def test_an_answer_without_text_has_no_first_token() -> None:
    async def empty() -> AsyncIterator[Piece | Done]:
        yield DONE

    outcome = await run(Fake(empty))
    assert outcome.result is not None
    assert outcome.result.content == ""
    assert outcome.result.thinking is None
    assert outcome.result.usage.first_token_ms is None


async def test_a_stream_that_just_ends_is_an_error() -> None:
    async def unfinished() -> AsyncIterator[Piece | Done]:
        yield Piece("half an")

    outcome = await run(Fake(unfinished))
    assert outcome.kind is OutcomeKind.ERROR
    assert outcome.result is None


async def endless() -> AsyncIterator[Piece | Done]:
    yield Piece("and ")
    while True:
        await asyncio.sleep(0.01)
        yield Piece("and ")


async def test_the_total_limit_stops_the_call() -> None:
    backend = Fake(endless)
    outcome = await run(backend, limits=replace(FOREVER, total_s=0.05))
    assert outcome.kind is OutcomeKind.TIMEOUT
    assert "0.05 s" in outcome.message
    assert backend.closed == 1
    assert backend.checks == []


async def test_the_total_limit_starts_when_the_server_answers() -> None:
    """Until then a model may be loading, which the limit for the first token bounds."""

    async def loads() -> AsyncIterator[Piece | Done]:
        await asyncio.sleep(0.1)
        yield Piece("a")
        yield DONE

    outcome = await run(Fake(loads), limits=replace(FOREVER, total_s=0.05))
    assert outcome.kind is OutcomeKind.COMPLETED


async def test_what_says_nothing_starts_no_total_limit() -> None:
    async def late() -> AsyncIterator[Piece | Done]:
        for _ in range(4):
            yield Piece(frame=b"{}")
            await asyncio.sleep(0.03)
        yield Piece("a")
        yield DONE

    outcome = await run(Fake(late), limits=CallLimits(1.0, 60.0, 60.0, 0.05))
    assert outcome.kind is OutcomeKind.COMPLETED


async def test_a_tool_call_that_says_nothing_is_no_token() -> None:
    assert not Piece(tool_calls=(ToolDelta(0, id="1"),)).token
    assert Piece(tool_calls=(ToolDelta(0, "f"),)).token
    assert Piece(tool_calls=(ToolDelta(0, arguments="{"),)).token


@pytest.mark.parametrize("silent", [True, False])
async def test_the_deadline_ends_a_call_whether_it_answers_or_not(silent: bool) -> None:
    async def mute() -> AsyncIterator[Piece | Done]:
        await asyncio.Event().wait()
        yield DONE

    backend = Fake(mute if silent else endless)
    one = call(limits=replace(FOREVER, deadline_ms=1_000_050), started_ms=1_000_000)
    outcome = await outcome_of(one, backend)
    assert outcome.kind is OutcomeKind.EXPIRED
    assert backend.closed == 1


async def test_the_earlier_of_total_and_deadline_counts() -> None:
    limits = replace(FOREVER, total_s=0.05, deadline_ms=1_500_000)
    one = call(limits=limits, started_ms=1_000_000)
    outcome = await outcome_of(one, Fake(endless))
    assert outcome.kind is OutcomeKind.TIMEOUT


def failing(kind: OutcomeKind, *, broken: bool = False, later: float | None = None) -> Script:
    async def script() -> AsyncIterator[Piece | Done]:
        yield Piece("half an")
        raise CallFailed(kind, "no more", retry_after_s=later, broken=broken)

    return script


@pytest.mark.parametrize("kind", [k for k in OutcomeKind if k is not OutcomeKind.COMPLETED])
async def test_a_failure_keeps_its_kind_and_its_time(kind: OutcomeKind) -> None:
    backend = Fake(failing(kind, later=7.0))
    outcome = await run(backend)
    assert outcome == Outcome(kind, "no more", 7.0)
    assert backend.checks == []


@pytest.mark.parametrize(
    ("health", "kind"),
    [
        (HostHealth.UP, OutcomeKind.ERROR),
        (HostHealth.UNKNOWN, OutcomeKind.ERROR),
        (HostHealth.DOWN, OutcomeKind.UNREACHABLE),
        (HostHealth.UNAUTHORIZED, OutcomeKind.UNAUTHORIZED),
    ],
)
async def test_a_broken_connection_is_blamed_on_the_host_only_when_it_is_sick(
    health: HostHealth, kind: OutcomeKind
) -> None:
    backend = Fake(failing(OutcomeKind.ERROR, broken=True), Health(health, message="why"))
    outcome = await run(backend)
    assert outcome.kind is kind
    assert backend.checks == [calls.CHECK_S]
    assert "no more" in outcome.message
    assert ("why" in outcome.message) is (kind is not OutcomeKind.ERROR)


async def test_a_cancellation_leaves_after_the_stream_is_closed() -> None:
    backend = Fake(endless)
    started = asyncio.Event()
    running = asyncio.create_task(
        outcome_of(call(limits=FOREVER), backend, lambda item: started.set())
    )
    async with asyncio.timeout(5):
        await started.wait()
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert backend.closed == 1


async def test_a_bug_costs_one_attempt_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def buggy() -> AsyncIterator[Piece | Done]:
        yield Piece("a")
        raise ZeroDivisionError("oh")

    with caplog.at_level(logging.ERROR):
        outcome = await run(Fake(buggy))
    assert outcome.kind is OutcomeKind.ERROR
    assert "ZeroDivisionError" in outcome.message
    assert "t1.1" in caplog.text


async def test_an_answer_beyond_the_largest_size_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(message, "CONTENT_MAX", 100)

    backend = Fake(endless)
    outcome = await run(backend)
    assert outcome.kind is OutcomeKind.ERROR
    assert "longer than 100 characters" in outcome.message
    assert backend.closed == 1


async def test_a_timeout_that_is_not_ours_is_a_bug_and_no_timeout_of_the_task() -> None:
    async def foreign() -> AsyncIterator[Piece | Done]:
        yield Piece("a")
        raise TimeoutError("somebody else's clock")

    outcome = await run(Fake(foreign))
    assert outcome.kind is OutcomeKind.ERROR


async def test_a_check_that_raises_costs_one_attempt() -> None:
    async def broken() -> AsyncIterator[Piece | Done]:
        yield Piece("a")
        raise CallFailed(OutcomeKind.ERROR, "cut", broken=True)

    class Closed(Fake):
        async def check(self, timeout_s: float = 3.0) -> Health:
            raise RuntimeError("Session is closed")

    outcome = await run(Closed(broken))
    assert outcome.kind is OutcomeKind.ERROR
    assert "Session is closed" in outcome.message
