"""Problems of a configuration, collected and told in one error.

Each is one line, `FILE:LINE: key.path: expected X, got Y`, with a suggestion where a near miss is
known. Values are quoted short and never with credentials.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from ygg.errors import ConfigError

KeyPath = tuple[str | int, ...]
LIMIT = 20  #: problems told at once
_QUOTED = 60  #: characters of a value that a message shows


class Problem(NamedTuple):
    """One thing that is wrong. `line` overrides the line of `path`."""

    path: KeyPath
    expected: str
    got: str
    hint: str = ""
    line: int | None = None


class Problems:
    """The problems of one source. `lines` maps key paths to line numbers, from 1."""

    def __init__(self, source: str, lines: Mapping[KeyPath, int] | None = None) -> None:
        self.source = source
        self.lines = dict(lines or {})
        self.found: list[Problem] = []
        self.notes: list[str] = []  #: what is no problem, but may not be meant so

    def add(
        self, path: KeyPath, expected: str, got: str, hint: str = "", line: int | None = None
    ) -> None:
        problem = Problem(path, expected, got, hint, line)
        if problem not in self.found:
            self.found.append(problem)

    @contextmanager
    def told(self, path: KeyPath, expected: str) -> Iterator[None]:
        """What is wrong inside, with a file that a key names, is a problem of that key."""
        try:
            yield
        except ConfigError as wrong:
            self.add(path, expected, wrong.message, wrong.hint)

    def note(self, path: KeyPath, text: str) -> None:
        self.notes.append(f"{self._place(Problem(path, '', ''))}: {path_text(path)}: {text}")

    def check(self) -> None:
        """Raise one ConfigError when anything was found."""
        if self.found:
            ordered = sorted(self.found, key=lambda p: self._line(p) or 0)
            told = [self.text(p) for p in ordered[:LIMIT]]
            if len(ordered) > LIMIT:
                told.append(f"{self.source}: {len(ordered) - LIMIT} more problems not shown")
            hint = f"edit {self.source}, then run `ygg config check`"
            raise ConfigError("\n".join(told), hint=hint)

    def _line(self, problem: Problem) -> int | None:
        """The problem's own line, else that of the nearest key above that has one."""
        if problem.line is not None:
            return problem.line
        ends = range(len(problem.path), -1, -1)
        return next((self.lines[p] for n in ends if (p := problem.path[:n]) in self.lines), None)

    def _place(self, problem: Problem) -> str:
        line = self._line(problem)
        return self.source if line is None else f"{self.source}:{line}"

    def text(self, problem: Problem) -> str:
        """One line: where, what was expected, what is there, what to do."""
        place = self._place(problem)
        hint = f"; {problem.hint}" if problem.hint else ""
        text = f"expected {problem.expected}, got {problem.got}{hint}"
        return " ".join(f"{place}: {path_text(problem.path)}: {text}".splitlines())


def path_text(path: KeyPath) -> str:
    """`hosts.surtr.models[0]`; an unusual key is quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            key = step if re.fullmatch(r"[\w.:-]{1,80}", step) else shown(step)
            text += f".{key}" if text else key
    return text or "top level"


def shown(value: Any) -> str:
    """A value as a message quotes it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    return _quoted(value)


def _quoted(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= 10**_QUOTED:
        return "a huge number"  # Python refuses to write out numbers of thousands of digits
    if isinstance(value, str):
        value = re.sub(r"//[^/@]*@", "//***@", value)
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 4]}...{text[-1]}"


def ticked(word: str) -> str:
    """A word of the file in back quotes, or quoted as text when it is odd."""
    return f"`{word}`" if word.isprintable() and len(word) <= _QUOTED else shown(word)


def near(word: str, known: Iterable[str]) -> str:
    """A suggestion: "did you mean `slots`?", or nothing when no known word is close."""
    by_fold = {k.casefold(): k for k in known}
    close = difflib.get_close_matches(word.casefold()[:100], list(by_fold), 1, 0.6)
    return f"did you mean `{by_fold[close[0]]}`?" if close else ""


def known_words(words: Iterable[str]) -> str:
    """A hint: "known: `a` or `b`", or nothing where none is."""
    text = listed(words)
    return f"known: {text}" if text else ""


def listed(words: Iterable[str]) -> str:
    """`a`, `b` or `c`: short lists in full, long ones cut."""
    quoted = [ticked(w) for w in words]
    if len(quoted) > 12:
        return ", ".join([*quoted[:12], "..."])
    return " or ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]]))
