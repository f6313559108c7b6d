"""The example of docs/tuning.md is what ygg prints."""

from __future__ import annotations

from pathlib import Path

from tests.surface import tune_doc

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tuning.md"


def test_the_page_shows_what_two_hours_of_the_dispatcher_make_of_it() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"```\n{tune_doc.printed()}```\n" in page, "python -m tests.surface.tune_doc"
