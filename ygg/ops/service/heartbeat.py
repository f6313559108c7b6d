"""A running dispatcher as the service manager sees it: ready, its status line, its watchdog.

The watchdog is fed by progress, never by a timer alone: a message goes out only after the loop took a
step and the store's writer thread answered. When either hangs, the messages stop and the service
manager restarts the daemon.
"""

from __future__ import annotations

import asyncio
import logging

from ygg.core import events as ev
from ygg.errors import YggError
from ygg.model import HostHealth, Snapshot, State
from ygg.ops.service.notify import Notifier
from ygg.plain import counted
from ygg.running.dispatcher import Dispatcher

log = logging.getLogger("ygg.notify")

LOOK_S = 1.0  #: how often the status line is compared with the one last sent
STATUS_S = 10.0  #: how often it is sent when nothing changed
EXTEND_S = 30.0  #: what each message of a drain adds to the time left


class Heartbeat:
    """Tells the notifier of one dispatcher."""

    def __init__(self, notifier: Notifier, dispatcher: Dispatcher) -> None:
        self._notifier, self._dispatcher = notifier, dispatcher
        self._stopping = False

    def text(self) -> str:
        return status_line(self._dispatcher.snapshot(max_age_s=0.0), stopping=self._stopping)

    def ready(self) -> None:
        if self._notifier:
            self._notifier.ready(self.text())

    def stopping(self) -> None:
        """The drain begins; from now on every message asks for more time."""
        self._stopping = True
        if self._notifier:
            self._notifier.stopping(EXTEND_S, self.text())

    def reloading(self) -> None:
        self._notifier.reloading()

    async def report(self) -> None:
        """Send the status line when it changed, at least every `STATUS_S`."""
        loop, sent, at = asyncio.get_running_loop(), "", float("-inf")
        while self._notifier:
            text = self.text()
            if text != sent or loop.time() - at >= STATUS_S:
                sent, at = text, loop.time()
                self._send(text)
            await asyncio.sleep(LOOK_S)

    def _send(self, text: str) -> None:
        if self._stopping:
            self._notifier.stopping(EXTEND_S, text)
        else:
            self._notifier.status(text)

    async def feed_watchdog(self) -> None:
        """Twice per asked interval, as long as there is progress."""
        while self._notifier.watchdog_s is not None:
            await self._progress()
            self._notifier.watchdog()
            await asyncio.sleep(self._notifier.watchdog_s / 2)

    async def _progress(self) -> None:
        """Returns once the loop took a step and the writer thread answered, be it with an error:
        a full disk is no hang, and a restart would not mend it."""
        self._dispatcher.loop.feed(ev.Ticked())
        try:
            await self._dispatcher.loop.queue.lanes()
        except YggError as error:
            log.debug("the store answered the watchdog: %s", error)


def status_line(snapshot: Snapshot, *, stopping: bool = False) -> str:
    """`3 running, 12 waiting, 2 of 3 hosts up`; `draining: 2 running`; at its end, what is wrong with hosts.yaml."""
    line = _work(snapshot, stopping)
    return f"{line}; hosts.yaml: {snapshot.config_error}" if snapshot.config_error else line


def _work(snapshot: Snapshot, stopping: bool) -> str:
    running = f"{len(snapshot.running)} running"
    if stopping or snapshot.draining:
        return f"draining: {running}"
    waiting = snapshot.counts.state(State.QUEUED) + snapshot.counts.state(State.SCHEDULED)
    up = sum(host.health is HostHealth.UP for host in snapshot.hosts)
    line = f"{running}, {waiting} waiting, {up} of {counted(len(snapshot.hosts), 'host')} up"
    return f"paused: {line}" if snapshot.paused else line
