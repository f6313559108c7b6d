"""Bodies that nobody should send, from a grammar: wrong, huge, deep, cut off, half right."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

ROUTES = ("/v1/tasks", "/v1/tasks", "/v1/tasks", "/v1/async/submit", "/v1/async/submit", "/v1/tasks/retry",
          "/v1/tasks/abcdef/priority", "/v1/hosts/surtr/probe", "/v1/queue/resume")  # fmt: skip
KEYS = ("prompt", "messages", "input", "operation", "type", "agent_type", "system", "title", "priority", "labels", "model",
        "host", "max_tokens", "temperature", "options", "not_before", "deadline", "gpu", "idempotency_key", "retention",
        "content_type", "timeout", "timeout_seconds", "tasks", "atomic", "ids", "states", "")  # fmt: skip
TEXTS = ("", " ", "\0", "\ud800", "\u202e", "ü", "🙂" * 50, "a" * 499 + "!", "general", "m", "M:LATEST", "surtr", "high", "10m",
         "9999-12-31T23:59-23:59", "failed", "user", "required", "chat", "summary of the quarterly report 2026!")  # fmt: skip
NUMBERS = (0, -1, 1, 4.0, 5.5, 1e308, -0.0, 2**63, 10**400, True, False, None)


class Grammar:
    """Bodies of one seed. `largest`: about how many bytes."""

    def __init__(self, seed: int, largest: int) -> None:
        self._random, self._largest = Random(seed), largest

    def request(self) -> tuple[str, bytes]:
        """Where it goes, and the body."""
        rules: list[Callable[[], bytes]] = [
            self._right, self._wrong, self._wrong, self._wrong, self._flat, self._deep, self._long,
            self._list, self._cut, self._noise, self._many,
        ]  # fmt: skip
        return self._random.choice(ROUTES), self._random.choice(rules)()

    def _size(self) -> int:
        """Small mostly; each ten times the size comes as seldom as the next."""
        return int(10 ** self._random.uniform(0, len(str(self._largest)) - 1))

    def _right(self) -> bytes:
        docs = [{"prompt": "x", "title": self._text(), "not_before": "1h"} for _ in range(3)]
        return json.dumps({"tasks": [d for d in docs if d["title"].isprintable()]}).encode()

    def _wrong(self) -> bytes:
        doc = self._document(3)
        body = {"tasks": [doc, self._document(2)]} if self._random.random() < 0.6 else doc
        return json.dumps(body).encode()

    def _document(self, depth: int) -> dict[str, Any]:
        pick = self._random.choice
        doc = {pick(KEYS): self._value(depth) for _ in range(self._random.randrange(6))}
        return doc | ({"prompt": "x"} if self._random.random() < 0.5 else {})

    def _value(self, depth: int) -> Any:
        rule = self._random.randrange(5 if depth else 3)
        if rule == 0:
            return self._text()
        if rule <= 2:
            return self._random.choice(NUMBERS)
        if rule == 3:
            return [self._value(depth - 1) for _ in range(self._random.randrange(4))]
        return self._document(depth - 1)

    def _text(self) -> str:
        return self._random.choice(TEXTS) * self._random.choice((1, 1, 1, 30))

    def _flat(self) -> bytes:
        """One object of many keys, somewhere."""
        inner = b",".join(b'"%dk":%d' % (n, n) for n in range(max(1, self._size() // 10)))
        key = self._random.choice(KEYS).encode()
        return b'{"tasks":[{"prompt":"x","%s":{%s}}]}' % (key, inner)

    def _list(self) -> bytes:
        item = self._random.choice(
            (b"1", b"[]", b"{}", b'""', b"null", b'{"role":1}', b'"ab"', b"1e999")
        )
        items = b",".join([item] * max(1, self._size() // (len(item) + 1)))
        key = self._random.choice(KEYS).encode()
        return self._random.choice((b"[%s]", b'{"tasks":[%s]}', b'{"' + key + b'":[%s]}')) % items

    def _deep(self) -> bytes:
        depth = min(self._size(), 1_000_000)
        return self._random.choice((b"[", b'{"a":', b'{"tasks":[')) * depth

    def _long(self) -> bytes:
        piece = self._random.choice(
            (b"a", "ü".encode(), b"\\n", b'\\"', b"\\u0000", b",", b"\\ud800", b"\xff")
        )
        return b'{"tasks":[{"prompt":"%s"}]}' % (piece * (self._size() // len(piece)))

    def _cut(self) -> bytes:
        body = self._wrong()
        return body[: self._random.randrange(len(body) + 1)]

    def _noise(self) -> bytes:
        return self._random.randbytes(min(self._size(), 100_000))

    def _many(self) -> bytes:
        doc = json.dumps(self._document(2)).encode()
        return b'{"tasks":[' + b",".join([doc] * max(1, self._size() // len(doc) // 4)) + b"]}"
