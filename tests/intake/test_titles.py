"""Titles that nobody gave: the first words of what a task says, unless that is kept private."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.surface.world import config
from ygg.config import from_dict
from ygg.intake.tasks import new_task
from ygg.intake.titles import MOST, first_words
from ygg.model import JsonDict

QUIET = {
    "hosts": {"surtr": {"slots": 1, "backend": "ollama", "url": "http://surtr:1", "models": ["m"]}},
    "task_types": {"general": {"route": ["surtr"]}, "code": {"route": ["surtr"], "match": {"titles": ["parser"]}}},
}  # fmt: skip


def chat(*messages: tuple[str, object]) -> JsonDict:
    return {"messages": [{"role": role, "content": content} for role, content in messages]}


@pytest.mark.parametrize(
    ("request_", "title"),
    [
        ({"prompt": "Name five\n\n  moons\tof Jupiter"}, "Name five moons of Jupiter"),
        ({"input": ["first text", "second"]}, "first text"),
        ({"input": "only text"}, "only text"),
        (chat(("system", "Be brief."), ("user", "old"), ("assistant", "yes"), ("user", "new")), "new"),
        (chat(("user", [{"type": "image_url"}, {"type": "text", "text": "What is this?"}])), "What is this?"),
        (chat(("user", ""), ("system", "Say hello.")), "Say hello."),
        (chat(("assistant", None)), ""),
        ({"prompt": "x" * 100}, "x" * 60 + "…"),
        ({"prompt": "four " * 40}, " ".join(["four"] * 12) + "…"),
    ],
)  # fmt: skip
def test_a_title_is_the_first_words(request_: JsonDict, title: str) -> None:
    assert first_words(request_) == title


@given(st.text(max_size=1000))
def test_a_title_is_one_short_line_whatever_the_text(text: str) -> None:
    title = first_words({"prompt": text})
    assert len(title) <= MOST + 1
    assert title == " ".join(title.split())
    assert bool(title) == bool(text[:400].strip())


def titled(doc: JsonDict, **privacy: bool) -> tuple[str, str]:
    found = from_dict(QUIET | {"privacy": privacy}, "test") if privacy else config()
    task = new_task(doc, found, caller="test", now_ms=0)
    return task.title, task.lane.type


def test_a_task_without_a_title_has_one_unless_that_is_private() -> None:
    assert titled({"prompt": "fix the parser"})[0] == "fix the parser"
    assert titled({"prompt": "fix the parser", "title": "mine"})[0] == "mine"
    assert titled({"prompt": "fix the parser"}, titles=False)[0] == ""
    assert titled({"prompt": "fix the parser", "title": "mine"}, titles=False)[0] == "mine"


def test_the_type_goes_by_titles_that_were_given() -> None:
    assert titled({"prompt": "x", "title": "the parser"}, titles=True)[1] == "code"
    assert titled({"prompt": "the parser"}, titles=True)[1] == "general"
