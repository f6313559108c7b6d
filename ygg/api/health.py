"""How ygg is, for programs that watch it: a verdict with its reasons, and the two probes of supervisors."""

from __future__ import annotations

from ygg.api.overseeing import NOBODY, view_of
from ygg.errors import Draining, StoreError, Unavailable
from ygg.model import JsonDict
from ygg.ports import Control
from ygg.telling.health import Checkup, checkup, unread

DRAIN_S, STORE_S = (
    60.0,
    10.0,
)  #: when to ask again: once the next start is likely, once the store may be well


class Health:
    """Over one Control."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def health(self) -> JsonDict:
        """GET /v1/async/health: the mission's fields, and why. The answer says it, never its status."""
        found = await self._checkup()
        return {
            "status": "ok",
            "health": found.verdict,
            "queue_depth": found.depth,
            "processing": found.processing,
            "failed_rate_percent": found.failed_percent,
            "avg_latency_ms": found.latency_ms,
            "reasons": [{"code": f.code, "text": f.text} for f in found.findings],
        }

    async def _checkup(self) -> Checkup:
        try:
            return checkup(await view_of(self._control))
        except StoreError as error:  # where no dispatcher knows the rest
            return unread(error.message)

    async def alive(self) -> JsonDict:
        """GET /healthz: the process lives and its loop turns. Asks nobody."""
        return {"status": "ok"}

    async def ready(self) -> JsonDict:
        """GET /readyz: a submit would be taken. Draining, StoreError or Unavailable (503) where not."""
        view = await view_of(self._control)
        if not view.epoch:
            raise Unavailable(NOBODY, hint="ygg loop --async")
        if view.draining:
            hint = "ask again in a minute"
            raise Draining("ygg is shutting down", hint=hint, retry_after_s=DRAIN_S)
        if view.store_error is not None:
            hint = "ygg doctor; what is acknowledged is kept"
            raise StoreError(view.store_error, hint=hint, retry_after_s=STORE_S)
        return {"status": "ready"}
