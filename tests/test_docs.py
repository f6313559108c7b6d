"""The documentation names everything there is, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.surface.cli_doc import commands
from ygg.config import schema
from ygg.model import Priority, ReasonCode, State

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONCEPTS = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [State, ReasonCode])
def test_every_state_and_reason_is_explained(kind: type[State | ReasonCode]) -> None:
    assert [word for word in kind if f"`{word}`" not in CONCEPTS] == []


def test_every_priority_is_named() -> None:
    assert [p for p in Priority if f"`P{int(p)} {p.name}`" not in CONCEPTS] == []


def test_every_key_of_the_configuration_is_on_its_page() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    keys = set(re.findall(r"'properties': \{'(\w+)'", str(schema()))) | {
        key for form in schema()["$defs"].values() for key in form.get("properties", {})
    }
    assert len(keys) > 40
    assert {key for key in keys if f"`{key}`" not in page} == set()


def test_every_command_that_a_page_names_exists() -> None:
    known = {name for name, _ in commands()} | {"config", "service"}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for line in re.findall(r"(?:^|`|\$ |sudo )ygg ([a-z][a-z ]*)", text, re.MULTILINE):
            words = line.split()
            assert words[0] in known or " ".join(words[:2]) in known, f"{page.name}: ygg {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link
