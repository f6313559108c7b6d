"""docs/api.md is what the API does, and covers all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.surface import api_doc
from ygg.desk import VERBS
from ygg.verbs import Verb

DOCS = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def test_the_page_is_what_the_api_answers_today() -> None:
    assert DOCS.read_text(encoding="utf-8") == api_doc.written(), (
        "python -m tests.surface.api_doc > docs/api.md"
    )


@pytest.mark.parametrize("verb", VERBS, ids=lambda v: v.name)
def test_every_verb_is_on_the_page(verb: Verb[..., object]) -> None:
    named = verb.route.replace("{task_id}", "{id}").replace("{host}", "{name}")
    assert f"### `{named}`" in DOCS.read_text(encoding="utf-8")
