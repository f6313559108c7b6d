"""A model server's protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from ygg.errors import YggError
from ygg.model import Call, Done, Endpoint, Health, OutcomeKind, Piece


class CallFailed(YggError):
    """What a backend raises when a call does not complete. `kind` says what it means for the task."""

    code = "call_failed"

    def __init__(
        self,
        kind: OutcomeKind,
        message: str,
        *,
        retry_after_s: float | None = None,
        broken: bool = False,
        abandoned: bool = False,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.kind = kind
        self.abandoned = abandoned  #: we hung up, as in `Outcome`
        #: The connection ended, or went silent, in the middle of an answer: the host may be down.
        #: `running/calls.py` checks the host before it blames the task.
        self.broken = broken


class Backend(Protocol):
    """Speaks one server's protocol for one endpoint. Holds the connections; no retries, no queue.

    Built inside a running event loop; `close()` frees the connections.
    """

    @property
    def endpoint(self) -> Endpoint: ...

    def stream(self, call: Call) -> AsyncIterator[Piece | Done]:
        """Run a call that carries one attempt, streaming what can be. Yields `Piece`s, then exactly one
        `Done`.

        Ends without `Done` never: it raises `CallFailed` instead, for every error, also after pieces
        were delivered. Enforces the phase limits connect, first token (beyond a load) and between
        tokens; time in which nobody takes the next item counts to none; the total is the caller's.
        Closing the iterator closes the connection at once, which stops the generation. Foreign
        exceptions never leave it.
        """
        ...

    async def check(self, timeout_s: float = 3.0) -> Health:
        """Ask for version and models. Never raises; says `down` or `unauthorized` with a message."""
        ...

    async def inside(self, timeout_s: float = 3.0) -> int | None:
        """How many requests the server works on, or keeps waiting where it tells that too; None where it has
        no word for it. Raises CallFailed when it gives no answer now."""
        ...

    async def unload(self, model: str) -> bool:
        """Free the memory of a loaded model by the server's own means; False where it has none.
        Raises CallFailed."""
        ...

    async def close(self) -> None: ...


Backends = Mapping[tuple[str, str], Backend]  #: by (host, endpoint)
