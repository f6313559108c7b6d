"""Which verb a request asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ygg.errors import YggError
from ygg.verbs import Verb

Methods = Mapping[str, Verb[..., Any]]
WORDS = {404: "Not Found", 405: "Method Not Allowed"}


class NoRoute(YggError):
    """No verb has this path; or some have, but none with this method: `allowed` are theirs."""

    def __init__(self, method: str, path: str, allowed: Sequence[str] = (), hint: str = "") -> None:
        self.http_status = 405 if allowed else 404
        self.code = "method_not_allowed" if allowed else "not_found"
        self.headers = {"Allow": ", ".join(allowed)} if allowed else {}
        super().__init__(f"{method} {path}: {WORDS[self.http_status]}", hint=hint)


class Routes:
    """The verbs by path and method."""

    def __init__(self, verbs: Sequence[Verb[..., Any]]) -> None:
        self._hint = "there is: " + ", ".join(dict.fromkeys(f"{v.method} {v.path}" for v in verbs))
        self._plain: dict[str, dict[str, Verb[..., Any]]] = {}
        named: dict[str, dict[str, Verb[..., Any]]] = {}
        for verb in verbs:
            kind = named if verb.key else self._plain
            here = kind.setdefault(verb.path, {})
            here[verb.method] = verb
            if verb.method == "GET":
                here["HEAD"] = verb
        self._named = [
            (re.compile(re.sub(r"\{\w+\}", "([^/]+)", path)), found)
            for path, found in named.items()
        ]

    def find(self, method: str, path: str) -> tuple[Verb[..., Any], str | None]:
        """The verb, and the task or host that the path names. Raises NoRoute."""
        allowed: list[str] = []
        for found, target in self._of(path):
            if method in found:
                return found[method], target
            allowed += found
        raise NoRoute(method, path, sorted({*allowed}), "" if allowed else self._hint)

    def _of(self, path: str) -> Iterator[tuple[Methods, str | None]]:
        """What is at this path."""
        if path in self._plain:
            yield self._plain[path], None
        for pattern, found in self._named:
            if match := pattern.fullmatch(path):
                yield found, match[1]
