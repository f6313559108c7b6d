"""The verbs on tokens: give one out, list them, take one back."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ygg.api import bodies
from ygg.api.callers import LOCAL, Callers, digest_of, new_text
from ygg.api.documents import NewToken
from ygg.errors import InvalidInput
from ygg.intake import times
from ygg.intake.checking import parse
from ygg.intake.rates import rate, spelled
from ygg.model import JsonDict, Priority, Token
from ygg.model.tokens import Scope
from ygg.ports import Control

log = logging.getLogger("ygg.api")


class Tokens:
    """Over one Control. `callers` hears of each change."""

    def __init__(self, control: Control, callers: Callers, now_ms: Callable[[], int]) -> None:
        self._control, self._callers, self._now_ms = control, callers, now_ms

    async def learn(self) -> None:
        """What is stored, at the start and after each change."""
        self._callers.learn(await self._control.archive.tokens())

    async def create(self, doc: object) -> JsonDict:
        """POST /v1/tokens: the only answer that has its text."""
        asked = parse(NewToken, doc)
        if asked.name == LOCAL.name:
            raise InvalidInput(f"name: {LOCAL.name} is who asks without a token")
        text, now_ms = new_text(), self._now_ms()
        token = Token(
            asked.name, digest_of(text), Scope(asked.scope), now_ms,
            expires_ms=_ahead(times.moment("expires", asked.expires, now_ms), now_ms),
            max_priority=Priority(asked.max_priority), rate=rate(asked.rate),
        )  # fmt: skip
        await self._control.add_token(token)
        await self.learn()
        log.info("token %s created, scope %s", token.name, token.scope)
        return {"schema": "ygg.token/1", "token": text, **self._body(token)}

    async def list(self) -> JsonDict:
        """GET /v1/tokens."""
        found = await self._control.archive.tokens()
        return {"schema": "ygg.tokens/1", "tokens": [self._body(t) for t in found]}

    async def revoke(self, name: str) -> JsonDict:
        """DELETE /v1/tokens/{name}: from the next request on."""
        await self._control.revoke_token(name)
        await self.learn()
        log.info("token %s revoked", name)
        return {"name": name, "revoked": True}

    def _body(self, token: Token) -> JsonDict:
        state = "expired" if token.expired(self._now_ms()) else "live"
        return {
            "name": token.name,
            "scope": token.scope,
            "state": "revoked" if token.revoked_ms is not None else state,
            "max_priority": token.max_priority.name,
            "rate": None if token.rate is None else spelled(token.rate),
            "created_at": bodies.iso(token.created_ms),
            "expires_at": bodies.iso(token.expires_ms),
            "revoked_at": bodies.iso(token.revoked_ms),
        }


def _ahead(at_ms: int | None, now_ms: int) -> int | None:
    if at_ms is not None and at_ms <= now_ms:
        raise InvalidInput("expires: it has already passed")
    return at_ms
