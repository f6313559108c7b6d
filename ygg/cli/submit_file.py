"""ygg submit --jsonl: a file of many tasks, a line each; one by one, all or none, or as a batch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ygg import files
from ygg.cli import output
from ygg.cli.app import desk
from ygg.errors import InvalidInput, LeftOut, NotFound, QueueFull, YggError
from ygg.intake.parsing import Line, TooMuch, Unreadable, lines
from ygg.plain import counted

if TYPE_CHECKING:
    from ygg.desk import Desk

CHUNK = 1000  #: documents per request of a bulk submit


def bulk(name: str, *, atomic: bool, as_json: bool) -> None:
    """Every line of the file; each bad one is reported with its number."""
    bad, stored, warned = 0, 0, set[str]()
    with opened(name) as stream, desk(write=True) as found:
        for chunk in _chunks(lines(stream), None if atomic else CHUNK):
            try:
                bad += _send(found, name, chunk, warned, atomic=atomic, as_json=as_json)
            except QueueFull as full:  # a chunk is taken whole or not at all
                raise _full(full, name, stored) from None
            stored = chunk[-1][0]
    if bad:
        raise YggError(
            f"{counted(bad, 'bad line')}; {'nothing was stored' if atomic else 'the others were stored'}",
            hint="" if atomic else "submit the mended lines alone",
        )


def _full(full: QueueFull, name: str, stored: int) -> QueueFull:
    """What is said where the queue has no room for a chunk: `stored` is the last line before it."""
    if not stored:
        return full
    rest = f"tail -n +{stored + 1} {name} | ygg submit --jsonl -"
    hint = f"once it has drained: {rest if name != '-' else 'submit the lines after it'}"
    return QueueFull(f"{full.message}; {name} is stored to line {stored}", hint=hint)


def batch_of(name: str, *, sequential: bool, on_failure: str | None, as_json: bool) -> None:
    """Every line of the file as one batch, or none of them."""
    with opened(name) as stream, desk(write=True) as found:
        read = list(lines(stream))
        bad = [(n, doc) for n, doc in read if isinstance(doc, Unreadable)]
        for number, error in bad:
            output.say(f"{name}:{number}: {_unread(error)}")
        if bad:
            raise YggError(f"{counted(len(bad), 'bad line')}; nothing was stored")
        how = {"sequential": sequential} | ({"on_failure": on_failure} if on_failure else {})
        body = found.submit_batch([doc for _, doc in read], **how)
        output.as_json(body) if as_json else output.data(body["batch_id"])
        if not found.online:
            output.say("no daemon is running; start it: ygg loop --async")
        output.hint(f"ygg wait --batch {body['batch_id']}")


def opened(name: str) -> BinaryIO:
    if name == "-" and sys.stdin is None:
        raise InvalidInput("stdin is closed", hint="name a file")
    try:
        return sys.stdin.buffer if name == "-" else files.opened(Path(name))
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        why = error.strerror if isinstance(error, OSError) else error
        raise NotFound(f"{name} cannot be read: {why}") from None


def _chunks(found: Iterator[Line], size: int | None) -> Iterator[list[Line]]:
    chunk: list[Line] = []
    for line in found:
        chunk.append(line)
        if size is not None and len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _send(
    found: Desk, name: str, chunk: list[Line], warned: set[str], *, atomic: bool, as_json: bool
) -> int:
    """Submit the readable lines of a chunk; the number of bad ones, each reported in its order."""
    bad = [(n, _unread(doc)) for n, doc in chunk if isinstance(doc, Unreadable)]
    good = [(n, doc) for n, doc in chunk if not isinstance(doc, Unreadable)]
    if good and not (atomic and bad):
        answers = found.submit([doc for _, doc in good], atomic=atomic, brief=not as_json)
        for (number, _), answer in zip(good, answers, strict=True):
            refusal = refusal_of(answer)
            if refusal is None:
                warn(answer, warned)
                output.as_json(answer) if as_json else output.data(answer["id"])
            elif refusal["code"] != LeftOut.code:
                bad.append((number, refusal["message"]))
    for number, message in sorted(bad):
        output.say(f"{name}:{number}: {message}")
    return len(bad)


def _unread(error: Unreadable) -> str:
    return str(error) if isinstance(error, TooMuch) else f"no valid JSON: {error}"


def warn(answer: dict[str, Any], warned: set[str]) -> None:
    """Each doubt once."""
    doubt = answer.get("warning")
    if doubt is not None and doubt not in warned:
        warned.add(doubt)
        output.say(f"warning: {doubt}")


def refusal_of(answer: dict[str, Any]) -> dict[str, Any] | None:
    """The error of a document that was not stored; a stored task's `error` is text or null."""
    told = answer.get("error")
    return told if isinstance(told, dict) else None
