"""What is said in a file, by POST /v1/audio/transcriptions: a form goes there, a text comes back.

Nothing of an answer comes before its end, so that a call may take the time of a load and of a whole attempt. A call
without a file (ygg asks whether a model works) sends a second of silence.
"""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from ygg.backends import failures
from ygg.backends.bodies import Body, of_form
from ygg.backends.values import as_count, as_dict, as_name, as_object
from ygg.model import FILE_KEY, Call, Done, JsonDict, Piece, Usage
from ygg.uploads import Kept

PATH = "/v1/audio/transcriptions"
FIXED = frozenset({"model", "file", "stream"})  #: what options may not change
FORMAT = "response_format"
PLAIN = "json"  #: the format whose text is the answer; any other is the answer as it came
#: How files are to be called, whose ends some servers go by, where it is not as their kind says.
ENDS = {"mpeg": "mp3", "wave": "wav", "vnd.wave": "wav", "mp4": "m4a", "mp4a-latm": "m4a"}
PAGES = ("<!doctype", "<html")  #: of a server that is another one
SILENCE_HZ = 16_000


def patient(call: Call) -> Call:
    """The call with as long for its first token as for all of them."""
    limits = call.limits
    first_s = limits.first_token_s + limits.total_s
    return replace(call, limits=replace(limits, first_token_s=first_s))


def form(model: str, request: JsonDict, options: Mapping[str, Any]) -> Body:
    """What is sent; `options` are those of the server."""
    file = request.get(FILE_KEY)
    media = file.media if isinstance(file, Kept) else "audio/wav"
    content = file if isinstance(file, Kept) else silence()
    fields = {"model": model} if model else {}
    return of_form(
        [*fields.items(), *_told(_fields(request, options))], content, _name(media), media
    )


def wanted(request: JsonDict, options: Mapping[str, Any]) -> str:
    """The format of the answer."""
    return str(_fields(request, options)[FORMAT])


def _fields(request: JsonDict, options: Mapping[str, Any]) -> JsonDict:
    """The fields beside model and file: of the server, of the task, and what the task says itself."""
    said = {key: request[key] for key in ("prompt", "temperature") if request.get(key) is not None}
    every = {FORMAT: PLAIN, **options, **(request.get("options") or {}), **said}
    return {key: value for key, value in every.items() if key not in FIXED and value is not None}


def _told(fields: JsonDict) -> Iterable[tuple[str, str]]:
    """As a form has them: a list is a field for each of its values."""
    for key, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            yield key, one if isinstance(one, str) else json.dumps(one)


def _name(media: str) -> str:
    kind = media.partition("/")[2].removeprefix("x-")
    return f"audio.{ENDS.get(kind, kind)}"


def heard(body: bytes, format_: str, call: Call) -> tuple[Piece, Done]:
    """The text of an answer, and its end. Raises CallFailed."""
    data = as_object(body)
    if data is not None and data.get("error"):
        raise failures.from_error(data)
    facts = data or {}
    text = facts.get("text") if format_ == PLAIN else body.decode("utf-8", "replace")
    if not isinstance(text, str) or text.lstrip()[:9].lower().startswith(PAGES):
        raise failures.malformed(body)
    model = as_name(facts.get("model")) or call.candidate.model
    return Piece(failures.clean(text)), Done("stop", model, _usage(as_dict(facts.get("usage"))))


def _usage(told: JsonDict) -> Usage:
    """In the words of transcriptions, or of chats."""
    counts = {key: as_count(value) for key, value in told.items()}
    prompt, output = counts.get("input_tokens"), counts.get("output_tokens")
    return Usage(
        prompt_tokens=counts.get("prompt_tokens") if prompt is None else prompt,
        output_tokens=counts.get("completion_tokens") if output is None else output,
    )


@cache
def silence() -> bytes:
    """A second of it, as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SILENCE_HZ)
        sound.writeframes(bytes(2 * SILENCE_HZ))
    return file.getvalue()
