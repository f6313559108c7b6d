"""The files that tasks carry, put into their requests when a call is made: the database has no more than what they are."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

from ygg.model import FILE_KEY, Attempt, Call, JsonDict, OutcomeKind
from ygg.ports import CallFailed
from ygg.uploads import Uploads


async def filled(call: Call, uploads: Uploads | None) -> Call:
    """The call with the content of its tasks' files. Raises CallFailed where one cannot be read."""
    if not any(FILE_KEY in attempt.request for attempt in call.attempts):
        return call
    attempts = [await asyncio.to_thread(_filled, a, uploads) for a in call.attempts]
    return replace(call, attempts=tuple(attempts))


def _filled(attempt: Attempt, uploads: Uploads | None) -> Attempt:
    if FILE_KEY not in attempt.request:
        return attempt
    request = dict(attempt.request)
    media = request.pop(FILE_KEY)["media"]
    *before, last = request["messages"]
    content = _with(last["content"], media, _read(attempt.task.id, uploads))
    return replace(
        attempt, request={**request, "messages": [*before, {**last, "content": content}]}
    )


def _read(task_id: str, uploads: Uploads | None) -> bytes:
    try:
        if uploads is None:
            raise FileNotFoundError
        return uploads.content(task_id)
    except FileNotFoundError:
        text = "the file that came with it is gone: submit it again"
        raise CallFailed(OutcomeKind.BAD_REQUEST, text) from None
    except OSError as error:
        text = f"the file that came with it cannot be read: {error.strerror}"
        raise CallFailed(OutcomeKind.ERROR, text) from None


def _with(prompt: str, media: str, data: bytes) -> str | list[JsonDict]:
    """What is asked, and what of: text in one piece, an image as a part of its own."""
    if media.startswith("text/"):
        return f"{prompt}\n\n{data.decode('utf-8-sig')}"
    url = f"data:{media};base64,{base64.b64encode(data).decode()}"
    return [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": {"url": url}}]
