"""One daemon run: signals, the service manager and the nested scopes store > calls > services.

The first SIGTERM or Ctrl-C ends the services' wait: claims stop, submits are refused, running calls get
`drain` seconds; the second signal skips that, further ones are nothing. SIGHUP re-reads hosts.yaml, once the run
is ready for it; a broken edit keeps the old configuration and says so. A service that dies drains the rest and makes the exit code 1, so that a
supervisor restarts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ygg import meant, paths, signalled, wire
from ygg.errors import StoreError, StoreFull, StoreReadOnly, YggError
from ygg.logs import journal_stream, set_up_logging
from ygg.model import JsonDict, State
from ygg.notifying import notifying
from ygg.ops.service.notify import Notifier
from ygg.plain import counted
from ygg.reloading import Reloading
from ygg.running import chores, descriptors, evented, memory, stalls

if TYPE_CHECKING:
    from ygg.api.server import Door
    from ygg.config import Config
    from ygg.ops.service.heartbeat import Heartbeat
    from ygg.running.scope import Scope

log = logging.getLogger("ygg.daemon")

DISK_S = (1.0, 2.0, 5.0, 10.0)  #: pauses while it waits for a disk; the last one again and again
START_S = 600.0  #: what opening may take at most: a large database is copied before a migration


ASYNC = "the asynchronous dispatcher, as with --async; --no-async is the legacy loop"


def run(config_path: str | None, *, view: bool = True, unasked: bool = False, **looks: bool) -> int:
    """Run until a signal; the exit code. `unasked`: nobody said which loop it is to be; `looks` go to the live view
    (ascii_, readonly).

    Raises ConfigError, StoreError, Conflict before anything started.
    """
    from ygg.api.credentials import read
    from ygg.api.server import Door, handed_over
    from ygg.config.addresses import refuse_open
    from ygg.config.kept import to_start_on

    notifier = Notifier.taken_from(os.environ)  # before any child could inherit it
    if not notifier:
        meant.refuse_beside_service(os.environ)
    given = handed_over(os.environ)  # before any child, as well
    if notifier.watchdog_s is not None:
        faulthandler.enable()  # the watchdog kills with SIGABRT: the journal shows where it hung
    descriptors.raise_limit()
    memory.give_back_large_blocks()
    state = paths.state_dir(os.environ)
    config, broken = to_start_on(config_path, state, os.environ, service=bool(notifier))
    refuse_open(config.api, lambda: wire.tokens_hold(os.environ))
    credentials = read(config.api)
    door = Door(
        paths.daemon_socket(os.environ),
        given,
        config.api.listen,
        credentials,
        config.metrics.listen,
    )
    show = view and _view_wanted()
    log_path = set_up_logging(state, console=not show)
    if unasked:
        log.info(ASYNC)
        if show:
            sys.stderr.write(f"{ASYNC}\n")
    tell_left_out(config)
    if broken is not None:
        log.error("hosts.yaml is broken: %s", broken)
        log.error("started on the last good one, %s", config.source)
    shown = looks if show else None
    daemon = _Daemon(config, config_path, broken, state, door, shown, notifier)
    code = evented.run(daemon.main())
    if show:
        with contextlib.suppress(OSError):  # the terminal may be gone
            sys.stdout.write(f"{daemon.summary}; the log: {log_path}\n")
    return code


def tell_left_out(config: Config) -> None:
    """Settings that have no effect, in the log and to whoever starts the daemon by hand."""
    for line in config.left_out:
        log.warning("left out: %s", line)
        if (
            log.hasHandlers() and journal_stream(os.environ) is None
        ):  # without any it is there already
            sys.stderr.write(f"warning: left out: {line}\n")


def tell_exposed(config: Config) -> None:
    """That anybody may do everything, at each start: in the log, as status and view say it too."""
    from ygg.config.addresses import exposed

    danger = exposed(config.api)
    if danger is not None:
        log.warning("%s: api.insecure is set", danger)


def _view_wanted() -> bool:
    from ygg.view.live import wanted

    return wanted()


class _Daemon:
    """The pieces of one run that the signal handlers reach."""

    def __init__(
        self,
        config: Config,
        config_path: str | None,
        broken: YggError | None,
        state: Path,
        door: Door,
        looks: dict[str, bool] | None,
        notifier: Notifier,
    ) -> None:
        """`broken`: what is wrong with the hosts.yaml that is not in force."""
        self.config, self.state = config, state
        self.reloading = Reloading(config_path, state, broken, door.credentials)
        self.door, self.looks, self.notifier = door, looks, notifier
        self.summary = "ygg stopped"
        self.stop = asyncio.Event()
        self.fatal: BaseException | None = None
        self.scope: Scope | None = None
        self.heart: Heartbeat | None = None

    async def main(self) -> int:
        database = self.state / paths.DATABASE
        self._wake = asyncio.get_running_loop().call_soon_threadsafe
        with signalled.heard(self._handlers()):
            async with AsyncExitStack() as stack:
                stack.callback(self.door.leave)
                self.scope = await self._opened(stack, database)
                if self.scope is not None:
                    await self._serve_until_stopped(self.scope)
        log.info("stopped; socket %s closed", self.door.path)
        return 1 if self.fatal is not None else 0

    async def _opened(self, stack: AsyncExitStack, database: Path) -> Scope | None:
        """The run, once the disk lets it begin; None where it was to end before. Raises StoreError, Unavailable."""
        for tries in count():
            self.notifier.starting(START_S, "opening the database")
            opened = wire.running(self.config, database, on_fatal=self._on_fatal, door=self.door)
            try:
                return await stack.enter_async_context(opened)
            except (StoreFull, StoreReadOnly) as trouble:
                await self._wait_for_disk(trouble, tries)
            if self.stop.is_set():
                break
        return None

    async def _wait_for_disk(self, trouble: StoreError, tries: int) -> None:
        """Said once where people look, and to the service manager each time; a signal ends the wait."""
        text = f"{trouble.message}: ygg waits for it and goes on by itself ({trouble.hint})"
        if not tries:
            log.error("%s", text)
            if self.looks is not None:
                sys.stderr.write(f"error: {text}\n")
        self.notifier.starting(START_S, f"waiting: {trouble.message}")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), DISK_S[min(tries, len(DISK_S) - 1)])

    async def _serve_until_stopped(self, scope: Scope) -> None:
        from ygg.api.connections import MOST
        from ygg.api.handlers import Handlers
        from ygg.api.outside import outside
        from ygg.api.server import serve
        from ygg.ops.service.heartbeat import Heartbeat

        tell_exposed(scope.config)
        about: JsonDict = {
            "pid": os.getpid(),
            "store": str(self.state / paths.DATABASE),
            "socket": str(self.door.path),
            "listen": [str(address) for address in self.door.listen],
        }
        clock = scope.dispatcher.loop.clock
        handlers = Handlers(
            scope.dispatcher, lambda: scope.config, about=about, run_ms=clock.now_ms,
            reload=self.reloading.now, credentials=self.door.credentials, tally=scope.dispatcher.tally,
        )  # fmt: skip
        async with AsyncExitStack() as stack:
            told = scope.dispatcher.tally.lag.observe
            about["stalls"] = stack.enter_context(stalls.watched(told))
            half = descriptors.allowed() // 2  # the others are for hosts
            await handlers.tokens.learn()
            app = outside(handlers, lambda: scope.config.api, self.door.scraped_ports)
            serving = serve(app, self.door, min(MOST, half))
            await stack.enter_async_context(serving)
            if self.looks is not None:
                await stack.enter_async_context(self._live_view(scope, self.looks))
            heart = self.heart = Heartbeat(self.notifier, scope.dispatcher)
            await stack.enter_async_context(self._services(heart.report(), heart.feed_watchdog()))
            loop, archive = scope.dispatcher.loop, scope.dispatcher.archive
            async with self._services(
                chores.report_concurrency(loop), chores.prune(loop, archive), chores.record_minutes(loop),
                chores.verify(loop, archive), chores.follow_clock(loop, archive), notifying(scope, self.state),
            ):  # fmt: skip
                self.reloading.tell_broken(scope)
                hosts = counted(len(scope.config.hosts), "host")
                log.info("ready: %s, %s", hosts, self.door)
                await _tell_blocked(scope)
                memory.spare_what_stays()
                heart.ready()
                await self.reloading.begin(scope, heart)
                await self.stop.wait()
                self.reloading.end()
            await self._drain(scope, heart)

    async def _drain(self, scope: Scope, heart: Heartbeat) -> None:
        waiting = scope.config.policy.drain_s
        log.info("draining: up to %.0f s for running calls; signal again to stop now", waiting)
        heart.stopping()
        await scope.dispatcher.drain(waiting, scope.hurry)
        self.summary = await _summary(scope)

    @asynccontextmanager
    async def _services(self, *jobs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """Background work of the daemon; one that dies stops the daemon with exit code 1."""
        tasks = [asyncio.create_task(job) for job in jobs]
        for task in tasks:
            task.add_done_callback(self._service_done)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _service_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._on_fatal(task.exception() or RuntimeError("service ended"))

    def _on_fatal(self, error: BaseException) -> None:
        """Something that must not die did, in whatever thread: drain what can be drained, exit 1."""
        bug = None if isinstance(error, YggError) else error
        log.critical("stopping: %s", error, exc_info=bug)
        self.fatal = error
        self._wake(self.stop.set)

    @asynccontextmanager
    async def _live_view(self, scope: Scope, looks: dict[str, bool]) -> AsyncIterator[None]:
        from ygg.view.live import LiveView, acting

        dispatcher = scope.dispatcher
        act = acting(dispatcher.pause, dispatcher.drain_host)
        async with LiveView(dispatcher.view, act, self._end, asks=True, **looks):
            yield

    # --- signals -------------------------------------------------------------------------------

    def _handlers(self) -> signalled.Handlers:
        ends = dict.fromkeys((signal.SIGTERM, signal.SIGINT, signal.SIGQUIT), self._end)
        return {**ends, signal.SIGHUP: self.reloading.ask}

    def _end(self) -> None:
        if self.stop.is_set() and self.scope is not None:
            self.scope.hurry.set()
        self.stop.set()


async def _tell_blocked(scope: Scope) -> None:
    """Tasks that nobody else will start again."""
    blocked = (await scope.dispatcher.archive.counts()).state(State.BLOCKED)
    if blocked:
        are = f"{counted(blocked, 'task')} {'is' if blocked == 1 else 'are'}"
        log.warning(
            "%s blocked: ygg list --state blocked shows why, ygg retry --blocked queues them", are
        )


async def _summary(scope: Scope) -> str:
    """One line of what this run has done and what stands in the queue, for the person who watched."""
    from ygg.view.text import duration

    view = scope.dispatcher.snapshot()
    try:
        count = (await scope.dispatcher.archive.counts()).state
    except YggError as error:
        return f"ygg stopped; the queue cannot be read: {error}"
    waiting = count(State.QUEUED) + count(State.SCHEDULED)
    ended = scope.dispatcher.board.ended
    return (
        f"ygg stopped after {duration((view.at_ms - view.started_ms) / 1000)}:"
        f" {ended[State.COMPLETED]} done and {ended[State.FAILED]} failed in this run;"
        f" {waiting} waiting, {count(State.BLOCKED)} blocked"
    )
