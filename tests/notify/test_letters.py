"""What a message says, and that nothing foreign in it does harm."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from tests.notify.places import DOWN, EVIL, UP
from ygg.notify.letters import TEXT_MAX, TITLE_MAX, letter


def test_one_notice_is_told_as_it_is() -> None:
    found = letter([DOWN])
    assert (found.title, found.text) == ("surtr is down", "down: no way to it")
    assert json.loads(found.json) == {
        "schema": "ygg.notice/1",
        "id": found.id,
        "title": "surtr is down",
        "text": "down: no way to it",
        "notices": [
            {
                "event": "host_down", "at": "2027-01-15T08:00:00Z", "host": "surtr",
                "title": "surtr is down", "text": "down: no way to it",
            }
        ],
    }  # fmt: skip


def test_several_are_listed_with_their_local_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        found = letter([DOWN, UP])
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found.title == "2 messages: surtr is down, surtr is up again"
    assert found.text.splitlines() == [
        "09:00 surtr is down: down: no way to it",
        "09:01 surtr is up again: it was down for 1 min",
    ]
    assert [n["event"] for n in found.body["notices"]] == ["host_down", "host_up"]


def test_control_codes_and_line_ends_of_titles_are_gone() -> None:
    found = letter([replace(DOWN, title=EVIL, text=f"{EVIL}\nsecond")])
    assert found.title == "a X-Evil: 1[31m ölwärme"
    assert found.text.splitlines() == ["a", "X-Evil: 1[31m ölwärme", "second"]
    assert found.body["notices"][0]["title"] == found.title
    assert not any(c in found.json.decode() for c in ("\x1b", "\u202e", "\\u001b", "\\r"))


def test_no_message_is_longer_than_ntfy_takes() -> None:
    found = letter([replace(DOWN, title="ö" * 500, text="ü" * 9000)])
    assert len(found.title) == TITLE_MAX
    assert len(found.text.encode()) <= TEXT_MAX
    assert found.text.endswith("ü…")
    assert len(letter([DOWN] * 200).text.encode()) <= TEXT_MAX


def test_each_letter_has_an_id_of_its_own() -> None:
    assert letter([DOWN]).id != letter([DOWN]).id
