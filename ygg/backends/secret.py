"""The API key of a server: a server may say it back, and then it would stand in a log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from ygg.model import Done, JsonDict
from ygg.ports import CallFailed

MASK = "[the API key]"
SHORTEST = 4  #: characters; a shorter key is no secret, and stands in any text


class Secret:
    """Takes one key out of what is told to people, once it has been learnt."""

    def __init__(self, key: str = "") -> None:
        self.learn(key)

    def learn(self, key: str) -> None:
        self._key = key if len(key) >= SHORTEST else ""

    def hide(self, text: str) -> str:
        """The text without the key, and without the start of one that was cut at the end."""
        if not self._key:
            return text
        text = text.replace(self._key, MASK)
        starts = (self._key[:n] for n in range(len(self._key) - 1, SHORTEST - 1, -1))
        start = next(filter(text.endswith, starts), "")
        return text.removesuffix(start) + MASK if start else text

    def hide_in(self, data: JsonDict) -> JsonDict:
        """What a server says of itself, without the key."""
        text = json.dumps(data, ensure_ascii=False) if self._key else ""
        inside = json.dumps(self._key, ensure_ascii=False)[1:-1]
        if not inside or inside not in text:
            return data
        hidden: JsonDict = json.loads(text.replace(inside, MASK))
        return hidden

    def hide_end(self, done: Done) -> Done:
        return replace(done, model=self.hide(done.model), stop_reason=self.hide(done.stop_reason))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Whatever fails inside tells nobody the key."""
        try:
            yield
        except CallFailed as failed:
            failed.message = self.hide(failed.message)
            failed.args = (failed.message,)
            raise
