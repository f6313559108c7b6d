"""hosts.yaml read again while the daemon runs: on SIGHUP, or when somebody asks over the API.

A broken edit keeps the old configuration, and says so as long as it lasts. What is asked while one is under way is one
more together, and what is asked before the run is ready is done once it is.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ygg.config.addresses import exposed, refuse_open
from ygg.errors import ConfigError, Draining, YggError
from ygg.wire import tokens_hold

if TYPE_CHECKING:
    from ygg.api.credentials import Credentials
    from ygg.config import Config
    from ygg.ops.service.heartbeat import Heartbeat
    from ygg.running.scope import Scope

log = logging.getLogger("ygg.daemon")


class Reloading:
    """Of one run. `broken`: what is wrong with the hosts.yaml that is not in force. `credentials`: what is renewed."""

    def __init__(
        self,
        config_path: str | None,
        state: Path,
        broken: YggError | None,
        credentials: Credentials,
    ) -> None:
        self._path, self._state, self.broken = config_path, state, broken
        self._credentials = credentials
        self._scope: Scope | None = None
        self._heart: Heartbeat | None = None
        self._over = False
        self._stale = False  #: it was asked for and not begun
        self._changes: list[str] = []
        self._job: asyncio.Task[None] | None = None

    async def begin(self, scope: Scope, heart: Heartbeat) -> None:
        """From now on it can be done: the run is ready."""
        self._scope, self._heart = scope, heart
        if self._stale:
            self.ask()
        await asyncio.to_thread(self._keep, scope.config)

    def end(self) -> None:
        """The run ends: nothing is read any more."""
        self._over = True

    def ask(self) -> None:
        """Read it again; what comes of it is logged."""
        self._stale = True
        if self._scope is None or self._heart is None or self._over:
            return  # too early: done once it can be; or too late
        if self._job is None or self._job.done():
            self._job = asyncio.create_task(self._read_all(self._scope, self._heart))

    async def now(self) -> list[str]:
        """Read it again; what is different. Raises Draining, and what is wrong with it."""
        self.ask()
        if self._over or self._job is None:
            raise Draining("ygg is shutting down", hint="the next start reads hosts.yaml")
        await asyncio.shield(self._job)
        if self.broken is not None:
            raise self.broken
        return self._changes

    async def _read_all(self, scope: Scope, heart: Heartbeat) -> None:
        """One after another."""
        while self._stale:
            self._stale = False
            await self._read(scope, heart)

    async def _read(self, scope: Scope, heart: Heartbeat) -> None:
        from ygg.config import differences

        heart.reloading()
        try:
            fresh, found = await asyncio.to_thread(self._load, scope.config)
            self._changes = differences(scope.config, fresh)
            await scope.reload(fresh)
            self._credentials.become(found)
            self.broken = None
            log.info("hosts.yaml reloaded: %s", "; ".join(self._changes) or "no change")
            await asyncio.to_thread(self._keep, fresh)
        except YggError as error:
            self.broken = error
            log.error("hosts.yaml not reloaded, the old configuration stays: %s", error)  # noqa: TRY400
        finally:
            self.tell_broken(scope)
            heart.ready()

    def tell_broken(self, scope: Scope) -> None:
        """In status, view and doctor, as long as it lasts; so that anybody may do everything."""
        error = self.broken
        first = None if error is None else error.message.splitlines()[0]
        scope.dispatcher.exposed = exposed(scope.config.api)
        scope.dispatcher.config_error = first and f"broken, the one of before is in force: {first}"

    def _keep(self, config: Config) -> None:
        """Remember it as good. It is used only by a service that starts anew."""
        from ygg.config.kept import keep

        try:
            keep(config, self._state, os.environ)
        except (OSError, UnicodeDecodeError, YggError) as error:
            log.warning("the good configuration was not kept for the next start: %s", error)

    def _load(self, old: Config) -> tuple[Config, Credentials]:
        """The configuration as it is now, with the files it names. In a thread: reading takes seconds at worst."""
        from ygg.api.credentials import read
        from ygg.config import load_found

        fresh = load_found(self._path, os.environ, strict=True)
        if fresh.api.listen != old.api.listen:
            raise _new_start(fresh, "api.listen is another one")
        if fresh.metrics.listen != old.metrics.listen:
            raise _new_start(fresh, "metrics.listen is another one")
        if (fresh.api.tls is None) is not (old.api.tls is None):
            raise _new_start(fresh, "api.tls came or went")
        refuse_open(fresh.api, lambda: tokens_hold(os.environ))
        return fresh, read(fresh.api)


def _new_start(fresh: Config, what: str) -> ConfigError:
    return ConfigError(
        f"{fresh.source}: {what}, which takes a new start",
        hint="restart the daemon: sudo systemctl restart ygg, or Ctrl-C and ygg loop --async",
    )
