"""The words for the service manager, and when they are said."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.shell.virtual import House, house, run_virtual
from tests.system.rig import until
from tests.system.systemd import manager
from ygg.errors import StoreFull
from ygg.model import Lane, Priority
from ygg.ops.service.heartbeat import Heartbeat
from ygg.ops.service.notify import Notifier
from ygg.stores.memory import MemoryStore


@pytest.mark.parametrize("abstract", [False, True])
def test_text_arrives_as_it_is_and_cannot_forge_a_field(tmp_path: Path, abstract: bool) -> None:
    address = f"@ygg-test-{os.getpid()}" if abstract else tmp_path / "notify"
    with manager(address) as systemd:
        Notifier(str(address)).status("3 running → 61 °C\nREADY=1\u2028x")
        until(lambda: systemd.heard)
        assert systemd.heard[0][1] == {"STATUS": "3 running → 61 °C READY=1 x"}


@pytest.mark.parametrize(
    "address", ["/nowhere/notify", "/" + "x" * 200, "", "@", "a\0b", "vsock:2:1", "\ud800"]
)
def test_an_address_without_a_listener_harms_nobody(address: str) -> None:
    Notifier(address).ready("\ud800")


@pytest.mark.parametrize(
    ("env", "watchdog_s"),
    [
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "60000000"}, 60.0),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "0"}, None),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "-5"}, None),
        ({"NOTIFY_SOCKET": "/n"}, None),
        ({"WATCHDOG_USEC": "60000000"}, None),
    ],
)
def test_the_environment_is_understood_and_emptied(
    env: dict[str, str], watchdog_s: float | None
) -> None:
    rest = env | {"OTHER": "stays"}
    notifier = Notifier.taken_from(rest)
    assert notifier.watchdog_s == watchdog_s
    assert bool(notifier) == ("NOTIFY_SOCKET" in env)
    assert rest == {"OTHER": "stays"}


def test_children_do_not_inherit_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/n")
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    Notifier.taken_from(os.environ)
    code = "import os; print('NOTIFY_SOCKET' in os.environ, 'WATCHDOG_USEC' in os.environ)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]


# --- the heartbeat, in virtual time ---------------------------------------------------------------


class Recorder(Notifier):
    """Keeps what would be sent, with the virtual time."""

    def __init__(self, watchdog_s: float | None = None) -> None:
        super().__init__("/recorded", watchdog_s)
        self.sent: list[tuple[float, dict[str, str | int]]] = []

    def send(self, **fields: str | int) -> None:
        self.sent.append((asyncio.get_running_loop().time() - 1000.0, fields))

    def times(self, name: str) -> list[int]:
        return [round(at) for at, fields in self.sent if name in fields]


class Store(MemoryStore):
    """Its writer hangs, or fails, when told to."""

    hangs = fails = False

    async def lanes(self) -> list[tuple[Lane, Priority, int]]:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise StoreFull("the disk is full")
        return await super().lanes()


async def beating(home: House, job: Coroutine[Any, Any, None], seconds: float) -> None:
    task = asyncio.create_task(job)
    await asyncio.sleep(seconds)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_the_watchdog_is_fed_every_half_interval_and_not_by_a_hanging_store() -> None:
    async def main() -> None:
        store, recorder = Store(), Recorder(60)
        async with house(store=store) as home:
            heart = Heartbeat(recorder, home.dispatcher)
            await beating(home, heart.feed_watchdog(), 100)
            assert recorder.times("WATCHDOG") == [0, 30, 60, 90]
            store.hangs = True
            await beating(home, heart.feed_watchdog(), 1000)
            assert recorder.times("WATCHDOG") == [0, 30, 60, 90]

    run_virtual(main())


def test_a_store_that_answers_with_an_error_does_not_hang() -> None:
    async def main() -> None:
        store, recorder = Store(), Recorder(60)
        store.fails = True
        async with house(store=store) as home:
            await beating(home, Heartbeat(recorder, home.dispatcher).feed_watchdog(), 70)
            assert recorder.times("WATCHDOG") == [0, 30, 60]

    run_virtual(main())


def test_every_watchdog_message_follows_a_step_of_the_loop() -> None:
    async def main() -> None:
        recorder = Recorder(60)
        async with house() as home:
            fed: list[str] = []
            real = home.dispatcher.loop.feed
            home.dispatcher.loop.feed = lambda e: (fed.append(type(e).__name__), real(e))[1]  # type: ignore[method-assign]
            before = len(fed)
            heart = Heartbeat(recorder, home.dispatcher)
            await heart._progress()
            assert fed[before] == "Ticked"

    run_virtual(main())


def test_nobody_is_told_without_a_service_manager() -> None:
    async def main() -> None:
        async with house() as home:
            heart = Heartbeat(Notifier(), home.dispatcher)
            await asyncio.gather(heart.report(), heart.feed_watchdog())

    run_virtual(main())


def test_the_status_line_is_sent_on_change_and_every_ten_seconds() -> None:
    async def main() -> None:
        recorder = Recorder()
        async with house({"a": 1}) as home:
            home.places["a"].latency_s = 5
            heart = Heartbeat(recorder, home.dispatcher)
            reporting = asyncio.create_task(heart.report())
            await asyncio.sleep(25)
            assert len(recorder.times("STATUS")) in (3, 4)  # and once when the host came up
            await home.submit()
            await home.submit()
            await asyncio.sleep(2)
            assert recorder.sent[-1][1] == {"STATUS": "1 running, 1 waiting, 1 of 1 host up"}
            await home.dispatcher.pause(True)
            await asyncio.sleep(2)
            assert str(recorder.sent[-1][1]["STATUS"]).startswith("paused: 1 running")
            heart.stopping()
            await asyncio.sleep(12)
            stops = recorder.times("STOPPING")
            assert len(stops) >= 3
            assert recorder.sent[-1][1]["STATUS"] == "draining: 0 running"
            assert all("EXTEND_TIMEOUT_USEC" in f for _, f in recorder.sent if "STOPPING" in f)
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)

    run_virtual(main())
