"""What a client that comes back is told: everything once, in whatever pieces it comes again. On lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ygg.api.bodies import tool_call_body
from ygg.api.resuming import Mark, Resuming, before_end, changes, mark_of
from ygg.api.sse import Event
from ygg.model import Extent, LogRow, Piece, State, ToolDelta
from ygg.ports import AttemptStarted, Gap

TASK = "1mcc5rm0a-000fey"
Item = AttemptStarted | Piece | Gap
ROWS = [
    LogRow(1000, 0, None, State.QUEUED, "submitted"),
    LogRow(2000, 1, State.QUEUED, State.PROCESSING, "chosen", "surtr"),
    LogRow(3000, 1, State.PROCESSING, State.QUEUED, "elsewhere", "surtr", "broke off"),
    LogRow(4000, 2, State.QUEUED, State.PROCESSING, "chosen", "fenrir"),
]


@dataclass
class Client:
    """What a client makes of the events, over all its connections."""

    text: str = ""
    thoughts: str = ""
    calls: list[Any] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    lost: Extent = field(default_factory=Extent)
    last: str | None = None

    def get(self, event: Event) -> None:
        self.last = event.id
        match event.name:
            case "attempt":
                self.attempts.append(event.data["attempt"])
                self.text, self.thoughts, self.calls, self.lost = "", "", [], Extent()
            case "token":
                self.text += event.data["content"]
                self.thoughts += event.data["thinking"]
                self.calls += event.data.get("tool_calls", [])
            case "gap":
                self.lost = Extent(**event.data)

    def connect(self, items: Sequence[Item], events: int = 10**6) -> None:
        """Read so many events of a stream that says this."""
        again = Resuming(TASK, ROWS, self.last)
        told = (event for item in items if (event := again.item(item)) is not None)
        for event, _ in zip(told, range(events), strict=False):
            self.get(event)


EACH = set(range(13))
words = st.text("abcdef", max_size=4)
deltas = st.builds(ToolDelta, st.integers(0, 2), words, words, words)
cuts = st.one_of(st.just(EACH), st.sets(st.integers(0, 12)))
pieces = st.tuples(words, words, st.lists(deltas, max_size=2).map(tuple)).map(lambda p: Piece(*p))
answers = st.lists(pieces, max_size=12)


def merged(answer: list[Piece], places: set[int]) -> list[Piece]:
    """The tokens of the answer in other pieces: joined but for these places."""
    parts: list[Piece] = []
    for n, piece in enumerate(p for p in answer if p.token):
        if parts and n not in places:
            last = parts.pop()
            piece = Piece(last.content + piece.content, last.thinking + piece.thinking, last.tool_calls + piece.tool_calls)  # fmt: skip
        parts.append(piece)
    return parts


def size_of(answer: list[Piece]) -> Extent:
    size = Extent()
    for piece in answer:
        size = size.plus(piece)
    return size


def check_whole(client: Client, answer: list[Piece]) -> None:
    tokens = [p for p in answer if p.token]
    assert client.text == "".join(p.content for p in tokens)
    assert client.thoughts == "".join(p.thinking for p in tokens)
    assert client.calls == [tool_call_body(d) for p in tokens for d in p.tool_calls]
    assert client.lost == Extent()


@given(answers, st.lists(st.tuples(st.integers(0, 12), cuts), max_size=4), cuts)
@example([Piece("a"), Piece("b"), Piece("c", "d")], [(2, EACH)], set())
@example([Piece("a"), Piece("b"), Piece("c", "d")], [(2, EACH), (1, {1})], EACH)
def test_cut_anywhere_and_told_again_in_other_pieces_the_whole_comes_once(
    answer: list[Piece], connections: list[tuple[int, set[int]]], last: set[int]
) -> None:
    """Each connection is told the answer from its start, in pieces of its own, and is cut after some events."""
    client, start = Client(), AttemptStarted(1, "surtr", "m")
    for events, parts in connections:
        client.connect([start, *merged(answer, parts)], events)
    client.connect([start, *merged(answer, last)])
    check_whole(client, answer)
    assert client.attempts == [1]


def test_what_says_nothing_is_told_nobody_and_counts_for_nothing() -> None:
    """It is told again, as what a late client gets first, to nobody who was there when it came."""
    empty, start = Piece(tool_calls=(ToolDelta(0, id="c1"),)), AttemptStarted(1, "surtr", "m")
    said = [
        Piece(tool_calls=(ToolDelta(0, "f"),)),
        Piece(tool_calls=(ToolDelta(0, arguments="{}"),)),
    ]
    client = Client()
    client.connect([start, said[0]])
    client.connect([start, empty, *said])
    check_whole(client, said)


@given(answers, answers, st.integers(0, 12))
def test_another_attempt_is_told_whole_and_makes_the_earlier_void(
    first: list[Piece], second: list[Piece], events: int
) -> None:
    client = Client()
    client.connect([AttemptStarted(1, "surtr", "m"), *first], events)
    client.connect([AttemptStarted(2, "fenrir", "m"), *second], 1)
    client.connect([AttemptStarted(2, "fenrir", "m"), *second])
    check_whole(client, second)
    assert client.attempts == ([1] if events else []) + [2]


@given(answers, st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
def test_what_is_not_kept_is_told_as_lost_and_nothing_else_is(
    answer: list[Piece], events: int, kept: int, live: int
) -> None:
    """The start is kept up to `kept`, what came before `live` is not, and then the client is there again."""
    live = max(kept, live)
    client, start = Client(), AttemptStarted(1, "surtr", "m")
    client.connect([start, *answer[:live]], events)
    gap = size_of(answer[kept:live])
    client.connect([start, *answer[:kept], *([Gap(gap)] if any(gap) else []), *answer[live:]])
    whole, had = size_of(answer), Extent(len(client.text), len(client.thoughts), len(client.calls))
    assert whole == tuple(a + b for a, b in zip(had, client.lost, strict=True))
    assert all(lost <= most for lost, most in zip(client.lost, gap, strict=True))
    if client.lost == Extent():
        check_whole(client, answer)


def test_an_id_comes_with_every_event_and_says_how_far_it_is() -> None:
    client = Resuming(TASK, ROWS)
    events = [
        *client.states(ROWS),
        client.item(AttemptStarted(2, "fenrir", "m")),
        client.item(Piece("hello", "hm")),
        client.item(Piece(tool_calls=(ToolDelta(0, "f"),))),
        client.result({"state": "completed"}),
    ]
    assert [e and (e.name, e.id) for e in events] == [
        ("state", "0fey.4.0.0.0.0"),
        ("attempt", "0fey.4.2.0.0.0"),
        ("token", "0fey.4.2.5.2.0"),
        ("token", "0fey.4.2.5.2.1"),
        ("result", "0fey.4.2.5.2.1.end"),
    ]


def test_states_are_told_from_the_newest_on_and_after_an_id_all_that_came_since() -> None:
    def told(last: str | None, rows: list[LogRow] = ROWS) -> list[str]:
        return [e.data["at"][17:19] for e in Resuming(TASK, rows, last).states(rows)]

    assert told(None) == ["04"]
    assert told("0fey.1.0.0.0.0") == ["02", "03", "04"]
    assert told("0fey.4.2.0.0.0") == []
    again = Resuming(TASK, ROWS[:1])
    assert [len(again.states(ROWS[:n])) for n in (1, 1, 3, 4, 4)] == [1, 0, 2, 1, 0]
    assert told(None, []) == []


def test_a_state_is_told_in_the_words_of_the_status() -> None:
    event = Resuming(TASK, ROWS[:2], "0fey.2.1.0.0.0").states(ROWS[:3])[0]
    assert event.data == {
        "state": "queued", "status": "queued", "at": "1970-01-01T00:00:03.000Z", "attempt": 1,
        "host": "surtr", "reason": "elsewhere", "detail": "broke off",
    }  # fmt: skip


def test_a_state_that_changes_in_the_middle_keeps_the_place_in_the_text() -> None:
    client = Resuming(TASK, ROWS, "0fey.2.1.7.0.0")
    assert [e.id for e in client.states(ROWS[:3])] == ["0fey.3.1.7.0.0"]
    assert client.item(Piece("1234567")) is None
    told = client.item(Piece("89"))
    assert told is not None
    assert (told.data["content"], told.id) == ("89", "0fey.3.1.9.0.0")


def test_notes_are_no_changes() -> None:
    note = LogRow(1500, 0, State.QUEUED, State.QUEUED, "prioritized")
    assert changes([ROWS[0], note, ROWS[1]]) == ROWS[:2]


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "expired", "blocked"])
def test_an_end_is_left_for_the_result(end: str) -> None:
    ended = LogRow(5000, 2, State.PROCESSING, State(end), end)
    assert before_end([*ROWS, ended]) == ROWS
    assert before_end([ended, *ROWS]) == [ended, *ROWS], "a person put it back"
    assert before_end([]) == []


def test_all_was_had_once_the_result_was_and_nothing_has_happened_since() -> None:
    assert Resuming(TASK, ROWS, "0fey.4.2.5.0.0.end").over(ROWS)
    assert not Resuming(TASK, ROWS, "0fey.3.2.5.0.0.end").over(ROWS), "a person put it back"
    assert not Resuming(TASK, ROWS, "0fey.4.2.5.0.0").over(ROWS), "the result is missing"
    again = Resuming(TASK, ROWS, "0fey.3.2.5.0.0.end")
    assert again.states(ROWS)[0].id == "0fey.4.2.5.0.0", "there is another end to come"


@pytest.mark.parametrize(
    "text",
    [
        None, "", "x", "2.1034", "0fey", "0fey.", "0fey.1.1.1.1", "0fey.1.1.1.1.1.1", "0fey.1.1.-1.0.0",
        "0fey.1.1.1.1.1.END", "0fey.1.1.1.1.1.end.end", " 0fey.1.1.1.1.1", "0fey.1.1.1.1.1\n",
        "0fey.1.1.\u0661.0.0", f"0fey.{'9' * 5000}.1.1.1.1", "ffff.1.1.3.0.0", "0fey.5.1.3.0.0", "0fey.4.3.3.0.0",
    ],
)  # fmt: skip
def test_what_is_no_id_of_this_task_begins_as_without(text: str | None) -> None:
    """Also one of more states or attempts than it has had: of another life of the database."""
    client = Resuming(TASK, ROWS, text)
    assert [e.data["state"] for e in client.states(ROWS)] == ["processing"]
    assert client.item(AttemptStarted(1, "surtr", "m")) is not None
    told = client.item(Piece("hello"))
    assert told is not None
    assert told.data["content"] == "hello"


@given(
    st.builds(
        Mark,
        st.integers(0, 10**9),
        st.integers(0, 10**9),
        st.builds(Extent, st.integers(0, 10**9), st.integers(0, 9), st.integers(0, 9)),
        st.booleans(),
    )
)
def test_an_id_says_what_it_was_made_of_and_only_for_its_task(mark: Mark) -> None:
    assert mark_of(mark.of(TASK), TASK) == mark
    assert mark_of(mark.of(TASK), "1mcc5rm0a-000ffy") is None
