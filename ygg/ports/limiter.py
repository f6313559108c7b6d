"""Permits from outside."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ygg.model import Grant, Usage


class Denial(NamedTuple):
    """A limiter's no: why, and for how many seconds at least (None: it cannot say)."""

    message: str
    retry_s: float | None = None


class Limiter(Protocol):
    """Hands out permits that live outside this process: rate tokens, the claims of a source.

    A grant is known by its call and permit, and ends by itself in the end, should nobody settle it.
    """

    async def acquire(self, grant: Grant) -> Denial | None:
        """Take the permit for the call; None once it is granted. The same grant asked for twice is one
        grant; one that was settled already is denied. It may take long, or never answer: the caller goes
        on without. Raises YggError where the limiter cannot be asked."""
        ...

    async def settle(self, grant: Grant, used: Usage | None) -> None:
        """The call is over: the permit was `used` (so many tokens), or with None it was not and is given
        back, be it granted or not. The same grant may be settled again, to no effect. Raises YggError."""
        ...
