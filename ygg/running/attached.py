"""The files that tasks carry, named in their requests when a call is made: the database has no more than what they are,
and a driver reads them as it sends them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace

from ygg.model import FILE_KEY, Attempt, Call, JsonDict, Operation, OutcomeKind
from ygg.ports import CallFailed
from ygg.uploads import Kept, Uploads


async def filled(call: Call, uploads: Uploads | None) -> Call:
    """The call with its tasks' files in it. Raises CallFailed where one cannot be read."""
    if not any(FILE_KEY in attempt.request for attempt in call.attempts):
        return call
    attempts = [await asyncio.to_thread(_filled, a, uploads) for a in call.attempts]
    return replace(call, attempts=tuple(attempts))


def _filled(attempt: Attempt, uploads: Uploads | None) -> Attempt:
    if FILE_KEY not in attempt.request:
        return attempt
    request = dict(attempt.request)
    media = request.pop(FILE_KEY)["media"]
    with _told():
        request |= _with(attempt, _kept(attempt.task.id, media, uploads))
    return replace(attempt, request=request)


def _kept(task_id: str, media: str, uploads: Uploads | None) -> Kept:
    if uploads is None:
        raise FileNotFoundError
    return uploads.kept(task_id, media)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What is wrong with the file, as the failure of its call."""
    try:
        yield
    except FileNotFoundError:
        text = "the file that came with it is gone: submit it again"
        raise CallFailed(OutcomeKind.BAD_REQUEST, text) from None
    except OSError as error:
        text = f"the file that came with it cannot be read: {error.strerror}"
        raise CallFailed(OutcomeKind.ERROR, text) from None


def _with(attempt: Attempt, file: Kept) -> JsonDict:
    """What the operation works on. Only a text is read now, which is no longer than any document."""
    if attempt.task.operation is Operation.TRANSCRIBE:
        return {FILE_KEY: file}
    *before, last = attempt.request["messages"]
    asked: str = last["content"]
    if file.media.startswith("text/"):
        text = file.path.read_bytes().decode("utf-8-sig")
        return _messages(before, last, f"{asked}\n\n{text}")
    image = {"type": "image_url", "image_url": {"url": file.as_url}}
    return _messages(before, last, [{"type": "text", "text": asked}, image])


def _messages(before: list[JsonDict], last: JsonDict, content: str | list[JsonDict]) -> JsonDict:
    return {"messages": [*before, {**last, "content": content}]}
