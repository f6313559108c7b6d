"""What the memory store keeps of tokens."""

from __future__ import annotations

from dataclasses import replace

from ygg.model import Token
from ygg.model.tokens import taken, unknown


class Keyring:
    """By name."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}

    def all(self) -> list[Token]:
        return sorted(self._tokens.values(), key=lambda t: t.name)

    def add(self, token: Token) -> None:
        old = self._tokens.get(token.name)
        if old is not None and old.revoked_ms is None:
            raise taken(token.name)
        self._tokens[token.name] = token

    def revoke(self, name: str, now_ms: int) -> None:
        if name not in self._tokens:
            raise unknown(name)
        old = self._tokens[name]
        if old.revoked_ms is None:
            self._tokens[name] = replace(old, revoked_ms=now_ms)
