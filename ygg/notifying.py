"""Telling people what happens in one run of the daemon: the service, with what it looks at."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ygg.running.scope import Scope

log = logging.getLogger("ygg.notifications")


async def notifying(scope: Scope, state: Path) -> None:
    """Tell whom hosts.yaml names, as long as the run lasts. A bug here ends this and nothing else."""
    from ygg.notify.service import Notifying

    dispatcher = scope.dispatcher
    clock = dispatcher.loop.clock

    def tell(lines: tuple[str, ...]) -> None:
        dispatcher.notify_error = "; ".join(lines) or None

    service = Notifying(
        dispatcher.snapshot, lambda: scope.config.notify, lambda: (clock.now_ms(), minute()), tell, state,
    )  # fmt: skip
    try:
        await service.run()
    except Exception as bug:
        log.exception("bug: nobody is told of anything any more, until the next start")
        tell((f"bug: {bug}: nobody is told of anything",))


def minute() -> int:
    """Of the local day."""
    now = time.localtime()
    return 60 * now.tm_hour + now.tm_min
