"""How checks are run: all at once, each under a deadline, none hides another."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from ygg.ops.doctor import checks
from ygg.ops.doctor.checks import Check, Maker, Probe, Status
from ygg.ops.threads import run_without_waiting


def run_all(*probes: Probe) -> list[Check]:
    return run_without_waiting(checks.run_all(probes))


async def fine() -> list[Check]:
    return [Maker("fine", "x").ok("fine")]


def test_a_check_that_hangs_is_an_error_and_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "DEADLINE_S", 0.05)

    async def hangs() -> list[Check]:
        return await asyncio.Event().wait() and []

    async def hangs_in_a_thread() -> list[Check]:
        return await asyncio.to_thread(lambda: time.sleep(60) or [])

    begun = time.monotonic()
    first, second, third = run_all(
        Probe("hangs", "x", hangs), Probe("thread", "x", hangs_in_a_thread), Probe("f", "x", fine)
    )
    assert time.monotonic() - begun < 10
    assert (first.name, first.status) == ("hangs", Status.ERROR)
    assert "0.05 s" in first.message
    assert second.status is Status.ERROR
    assert third.status is Status.OK


def test_a_check_that_raises_is_a_bug_and_hides_no_other() -> None:
    async def raises() -> list[Check]:
        raise TimeoutError("of its own")

    first, second = run_all(Probe("raises", "x", raises), Probe("f", "x", fine))
    assert first.status is Status.ERROR
    assert "bug: TimeoutError: of its own" in first.message
    assert Path(__file__).name in first.detail
    assert second.status is Status.OK


def test_checks_run_at_the_same_time() -> None:
    met: list[asyncio.Barrier] = []

    async def meets() -> list[Check]:
        if not met:
            met.append(asyncio.Barrier(3))
        await met[0].wait()
        return []

    assert run_all(*(Probe(str(n), "x", meets) for n in range(3))) == []
