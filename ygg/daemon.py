"""One daemon run: logging, signals and the nested scopes store > calls > services.

The first SIGTERM or Ctrl-C ends the services' wait: claims stop, submits are refused, running calls get
`drain` seconds; the second signal skips that. SIGHUP re-reads hosts.yaml; a broken edit keeps the old
configuration and says so. A service that dies drains the rest and makes the exit code 1, so that a
supervisor restarts it.
"""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ygg import paths, wire
from ygg.errors import YggError

if TYPE_CHECKING:
    from ygg.config import Config

log = logging.getLogger("ygg.daemon")

LOG_BYTES, LOG_FILES = 10_000_000, 5
#: C0 and C1 control characters but tab: log lines may quote servers and prompts.
_CONTROLS = dict.fromkeys((*range(9), *range(10, 32), *range(127, 160)), "�")


class CleanFormatter(logging.Formatter):
    """Time, level, text on one line, with no control character of foreign text left in it."""

    def __init__(self) -> None:
        super().__init__()
        self._second, self._stamp = 0, ""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if not text.isprintable():
            text = text.translate(_CONTROLS)
        line = f"{self._time(record)} {record.levelname:<7} {text}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line

    def _time(self, record: logging.LogRecord) -> str:
        """Local time with milliseconds; the calendar is consulted once a second."""
        second = int(record.created)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        return f"{self._stamp}.{int(record.msecs):03}"


class RotatingLog(logging.handlers.RotatingFileHandler):
    """Rotates by size without formatting each line twice and asking the file system about it."""

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        if self.stream is None:
            self.stream = self._open()
        return self.stream.tell() >= self.maxBytes


def set_up_logging(state: Path, *, console: bool) -> Path:
    """Log to `<state>/logs/ygg.log`, rotated, and to stdout when `console`."""
    folder = state / "logs"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "ygg.log"
    root = logging.getLogger("ygg")
    root.setLevel(logging.INFO)
    root.propagate = False
    handlers: list[logging.Handler] = [
        RotatingLog(
            path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", errors="replace"
        )
    ]
    if console:
        handlers.append(logging.StreamHandler(sys.stdout))
    for handler in handlers:
        handler.setFormatter(CleanFormatter())
        root.addHandler(handler)
    return path


def run(config_path: str | None, *, view: bool = True) -> int:
    """Run until a signal; the exit code. Raises ConfigError, StoreError before anything started."""
    from ygg.config import load_found

    config = load_found(config_path, os.environ)
    state = paths.state_dir(os.environ)
    show = view and _view_wanted()
    log_path = set_up_logging(state, console=not show)
    code = wire.run(_Daemon(config, config_path, state, show).main())
    if show:
        sys.stdout.write(f"ygg stopped; what it did is in {log_path}\n")
    return code


def _view_wanted() -> bool:
    from ygg.view.live import wanted

    return wanted()


class _Daemon:
    """The pieces of one run that the signal handlers reach."""

    def __init__(self, config: Config, config_path: str | None, state: Path, view: bool) -> None:
        self.config, self.config_path, self.state, self.view = config, config_path, state, view
        self.stop = asyncio.Event()
        self.fatal: BaseException | None = None
        self.scope: wire.Scope | None = None

    async def main(self) -> int:
        database = self.state / wire.DATABASE
        with self._signals():
            async with wire.running(self.config, database, on_fatal=self._on_fatal) as self.scope:
                socket = await self._serve_until_stopped(self.scope)
        log.info("stopped; socket %s closed", socket)
        return 1 if self.fatal is not None else 0

    async def _serve_until_stopped(self, scope: wire.Scope) -> Path:
        from ygg.api.app import build_app
        from ygg.api.handlers import Handlers
        from ygg.api.server import serve

        socket = paths.daemon_socket(os.environ)
        about = {
            "pid": os.getpid(),
            "store": str(self.state / wire.DATABASE),
            "socket": str(socket),
        }
        handlers = Handlers(scope.dispatcher, lambda: scope.config, about=about)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(serve(build_app(handlers), socket))
            if self.view:
                await stack.enter_async_context(self._live_view(scope))
            async with self._services(scope):
                log.info("ready: %d hosts, socket %s", len(scope.config.hosts), socket)
                await self.stop.wait()
                waiting = scope.config.policy.drain_s
                log.info(
                    "draining: up to %.0f s for running calls; signal again to stop now", waiting
                )
            await scope.dispatcher.drain(waiting, scope.hurry)
        return socket

    @asynccontextmanager
    async def _services(self, scope: wire.Scope) -> AsyncIterator[None]:
        """Background work of the daemon; one that dies stops the daemon with exit code 1."""
        jobs = (scope.dispatcher.report_concurrency(), scope.dispatcher.prune())
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
        """Something that must not die did: drain what can be drained, exit 1."""
        log.critical("stopping: %s", error, exc_info=error)
        self.fatal = error
        self.stop.set()

    @asynccontextmanager
    async def _live_view(self, scope: wire.Scope) -> AsyncIterator[None]:
        from ygg.view.live import LiveView

        async with LiveView(scope.dispatcher.snapshot):
            yield

    # --- signals -------------------------------------------------------------------------------

    def _signals(self) -> _Signals:
        return _Signals(
            {signal.SIGTERM: self._end, signal.SIGINT: self._end, signal.SIGHUP: self._reload}
        )

    def _end(self) -> None:
        if self.stop.is_set() and self.scope is not None:
            self.scope.hurry.set()
        self.stop.set()

    def _reload(self) -> None:
        if self.scope is not None:
            self._reloading = asyncio.create_task(self._reload_config(self.scope))

    async def _reload_config(self, scope: wire.Scope) -> None:
        from ygg.config import differences, load_found

        try:
            fresh = load_found(self.config_path, os.environ)
            changes = differences(scope.config, fresh)
            await scope.reload(fresh)
        except YggError as error:
            log.error("hosts.yaml not reloaded, the old configuration stays: %s", error)  # noqa: TRY400
            return
        log.info("hosts.yaml reloaded: %s", "; ".join(changes) or "no change")


class _Signals:
    """Signal handlers of the running loop for the length of a `with`."""

    def __init__(self, handlers: dict[signal.Signals, Callable[[], None]]) -> None:
        self._handlers = handlers

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number, handler in self._handlers.items():
            loop.add_signal_handler(number, handler)

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in self._handlers:
            loop.remove_signal_handler(number)
