"""What a model says in an answer, in either protocol: text, thoughts, tool calls.

Nothing of it is dropped: a part of another form than any that is known is an error, and so is an answer
that says only what cannot be told. An emoji may come as two `\\u` escapes, one half at the end of a piece
and the other at the start of the next: the first waits for the second.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field

from ygg.backends import failures
from ygg.backends.values import as_count, as_dict
from ygg.model import JsonDict, Piece, ToolDelta

TEXTS = ("content", "response", "text", "refusal")
THOUGHTS = ("thinking", "reasoning_content", "reasoning")
#: Parts of a message that say nothing by themselves, and those that are read.
KNOWN = frozenset({*TEXTS, *THOUGHTS, "tool_calls", "function_call", "role", "name", "index"})
PLAIN = frozenset({"role", "content"})
CALLING = ("tool_calls", "function_call")  #: stop reasons of an answer that calls tools
Said = tuple[str, str, tuple[ToolDelta, ...]]


@dataclass(slots=True)
class TextReader:
    """A text that comes in parts, put together without lone surrogates: they come from an escape, or from
    bytes that only Python's JSON reader takes for UTF-8 (ED A0 80)."""

    _half: str = ""

    def read(self, value: object, line: bytes) -> str:
        """Raises CallFailed for what is no text."""
        if isinstance(value, str):
            plain = not self._half and b"\\u" not in line and b"\xed" not in line
            return value if plain else self._joined(value)
        return "" if value is None else self._joined(_parts(value, line))

    def _joined(self, value: str) -> str:
        text = self._half + value
        self._half = text[-1:] if "\ud800" <= text[-1:] < "\udc00" else ""
        return failures.clean(text[: len(text) - len(self._half)])

    def end(self) -> str:
        """What is left of a half that nothing followed."""
        half, self._half = self._half, ""
        return failures.clean(half)


def _parts(value: object, line: bytes) -> str:
    """The text of a list of parts, all of which are text."""
    if not isinstance(value, list):
        raise failures.malformed(line)
    texts = [as_dict(part).get("text") for part in value]
    if not all(isinstance(text, str) for text in texts):
        raise failures.malformed(line)
    return "".join(map(str, texts))


@dataclass(slots=True)
class ToolReader:
    """The tool calls of one answer: `whole` ones (Ollama) or parts (OpenAI).

    A part belongs to the call of its index; without one to that of its id, else to the last. Whole ones
    are counted: older Ollamas number parallel calls 0, 0.
    """

    whole: bool
    names: dict[int, bool] = field(
        default_factory=dict
    )  #: whether the call at a place has its name
    _last: int = -1
    _places: dict[str, int] = field(default_factory=dict)
    _texts: defaultdict[int, TextReader] = field(default_factory=lambda: defaultdict(TextReader))

    def read(self, value: object, line: bytes) -> tuple[ToolDelta, ...]:
        """The parts that say something. Raises CallFailed for what is no list of calls."""
        if not isinstance(value, list):
            raise failures.malformed(line)
        deltas = [self._delta(entry, line) for entry in value]
        return tuple(d for d in deltas if d.name or d.arguments or d.id)

    def _delta(self, entry: object, line: bytes) -> ToolDelta:
        function = entry.get("function") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(function, dict | None):
            raise failures.malformed(line)
        function, number = (
            function or {},
            as_count(entry.get("id")),
        )  # some servers number their calls
        known_as = _word(entry.get("id"), line) if number is None else str(number)
        self._last = place = self._place(as_count(entry.get("index")), known_as)
        self._places.setdefault(known_as, place)
        name = _word(function.get("name"), line)
        self.names[place] = self.names.get(place, False) or bool(name)
        told = self._texts[place].read(_as_json(function.get("arguments")), line)
        return ToolDelta(place, name, told, known_as)

    def _place(self, index: int | None, known_as: str) -> int:
        if self.whole:
            return self._last + 1
        if index is not None:
            return index
        return self._places.get(known_as, self._last + 1) if known_as else max(0, self._last)


def _as_json(value: object) -> str | None:
    """JSON text, of an object too."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _word(value: object, line: bytes) -> str:
    """A name or an id. Raises CallFailed for what is none."""
    if isinstance(value, str | None):
        return failures.clean(value or "")
    raise failures.malformed(line)


@dataclass(slots=True)
class Speech:
    """The messages of one answer, read one after another. `whole`: tool calls come whole."""

    whole: bool
    tools: ToolReader = field(init=False)
    _text: TextReader = field(default_factory=TextReader)
    _thought: TextReader = field(default_factory=TextReader)
    _spoken: bool = False
    _strange: str = ""  #: the first part that is not known

    def __post_init__(self) -> None:
        self.tools = ToolReader(self.whole)

    def read(self, message: JsonDict, line: bytes) -> Said:
        """Text, thoughts and tool calls of a message or a delta. Raises CallFailed for what is none."""
        if self._spoken and message.keys() <= PLAIN:  # nearly all of them
            return self._text.read(message.get("content"), line), "", ()
        text = self._text.read(_first(message, TEXTS), line)
        thought = self._thought.read(_first(message, THOUGHTS), line)
        calls = self._calls(message, line)
        self._spoken = self._spoken or bool(text or thought or calls)
        if not self._spoken:
            self._strange = self._strange or next(
                (k for k in message if k not in KNOWN and message[k]), ""
            )
        return text, thought, calls

    def _calls(self, message: JsonDict, line: bytes) -> tuple[ToolDelta, ...]:
        calls = message.get("tool_calls")
        if calls:
            return self.tools.read(calls, line)
        old = message.get("function_call")  # of the OpenAI protocol, before there were tools
        return self.tools.read([{"index": 0, "function": old}], line) if old else ()

    def end(self, reason: str) -> Piece | None:
        """What is left at the end of an answer. Raises CallFailed when it said what cannot be told."""
        if self._strange and not self._spoken:
            raise failures.untold(f"it holds only {self._strange[:40]!r}")
        if reason in CALLING and not self.tools.names:
            raise failures.untold("it calls tools, but none came")
        if not all(self.tools.names.values()):
            raise failures.untold("it calls a tool without a name")
        text, thought = self._text.end(), self._thought.end()
        return Piece(text, thought) if text or thought else None


def _first(message: JsonDict, keys: tuple[str, ...]) -> object:
    """The first of these parts that holds something."""
    for key in keys:
        if message.get(key):
            return message[key]
    return None
