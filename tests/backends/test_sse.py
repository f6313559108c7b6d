"""Server-sent events as the WHATWG standard has them, and lines cut from any pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ygg.backends.reply import LINE_MAX, Lines
from ygg.backends.sse import EventStream
from ygg.ports import CallFailed

A, B = {"n": 1}, {"n": 2}
DATA = {"a": b'data: {"n": 1}', "b": b'data: {"n": 2}'}


def objects(text: bytes, step: int = 0) -> list[Any]:
    """What a body brings, in pieces of `step` bytes."""
    lines, stream, found = Lines(), EventStream(), []
    size = step or len(text) or 1
    chunks = [text[n : n + size] for n in range(0, len(text), size)]
    for line in [*(line for chunk in chunks for line in lines.cut(chunk)), *lines.end()]:
        event = stream.read(line)
        if event is not None:
            found.append(event[0])
            assert json.loads(event[1]) == event[0]
            assert b"\n" not in event[1]
    return found


BODIES = {
    "plain": b"%(a)s\n\n%(b)s\n\n",
    "an empty data line": b"%(a)s\n\ndata:\n\n%(b)s\n\n",
    "an empty data line with a blank": b"%(a)s\n\ndata: \n\n%(b)s\n\n",
    "the word alone": b"%(a)s\n\ndata\n\n%(b)s\n\n",
    "another field": b"%(a)s\nfoo: bar\n\nplain text\n%(b)s\n\n",
    "a byte order mark": b"\xef\xbb\xbf%(a)s\n\n%(b)s\n\n",
    "carriage returns": b"%(a)s\r\r%(b)s\r\r",
    "both": b"%(a)s\r\n\r\n%(b)s\r\n\r\n",
    "mixed": b"%(a)s\r\n\n%(b)s\r\r\n",
    "an object over two lines": b'data: {"n":\ndata: 1}\n\n%(b)s\n\n',
    "an object over lines and comments": b'event: x\ndata: {"n":\n: ping\nid: 3\ndata: 1}\n\n%(b)s\n\n',
    "names and ids": b"id: 7\nevent: message\nretry: 10\n%(a)s\n\nevent: delta\n%(b)s\n\n",
    "no blank": b'data:{"n":1}\n\ndata:{"n":2}\n\n',
    "no blank lines between": b"%(a)s\n%(b)s\n",
    "no end": b"%(a)s\n\n%(b)s",
    "comments": b": hello\n:\n%(a)s\n\n:\n%(b)s\n\n",
    "the end marker": b"%(a)s\n\n%(b)s\n\ndata: [DONE]\n\n",
}


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize("name", BODIES)
def test_two_events_are_read_however_they_are_written(name: str, step: int) -> None:
    body = BODIES[name].replace(b"%(a)s", DATA["a"]).replace(b"%(b)s", DATA["b"])
    assert objects(body, step) == [A, B]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'event: error\ndata: {"message": "slot failed"}\n\n', "slot failed"),
        (b"event: error\ndata: slot failed\n\n", "slot failed"),
        (b'error: {"message": "slot failed"}\n', "slot failed"),
        (b'{"error": "slot failed"}\n', "slot failed"),
        (b'data: {"error":\ndata: "slot failed"}\n\n', "slot failed"),
        (b'{"choices": []}\n', "malformed"),
        (b"data: 7\n\n", "malformed"),
        (b'data: {"n":\n\n', "malformed"),
    ],
)
def test_an_error_is_one_however_it_is_written(body: bytes, text: str) -> None:
    with pytest.raises(CallFailed, match=text):
        objects(body)


def test_an_events_name_ends_with_the_event() -> None:
    assert objects(b'event: error\n\ndata: {"n": 1}\n\n') == [A]


@pytest.mark.parametrize("text", [b"data: [DONE]\n", b"data:[DONE]\n\n", b"data: [DONE] \r\n"])
def test_the_end_marker_is_seen_at_once(text: bytes) -> None:
    stream = EventStream()
    for line in Lines().cut(text):
        stream.read(line)
    assert stream.ended


def test_an_event_without_an_end_is_given_up() -> None:
    line = b"data: [" + b"1," * 100_000 + b"\n"
    with pytest.raises(CallFailed, match="malformed"):
        objects(line * (LINE_MAX // len(line) + 1), 16_384)


@given(
    st.lists(st.sampled_from([b"a", b"b c", b"\n", b"\r", b"\r\n", b"\xe2\x80\xa8", b"\x0b"])),
    st.integers(1, 5),
)
def test_lines_are_the_same_whatever_pieces_they_come_in(parts: list[bytes], step: int) -> None:
    text = b"".join(parts)
    whole, cut = Lines(), Lines()
    chunks = [text[n : n + step] for n in range(0, len(text), step)]
    lines = [line for chunk in chunks for line in cut.cut(chunk)] + cut.end()
    assert lines == (whole.cut(text) if text else []) + whole.end()
    assert b"".join(lines) == text.replace(b"\r", b"").replace(b"\n", b"")
