"""The documentation names everything there is, and its links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.surface.cli_doc import commands
from ygg.config import schema
from ygg.model import Priority, ReasonCode, State

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONCEPTS = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
HOUSE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
HOUSE_LINES = 150  #: more is no introduction
OURS = ("ygg/", "tests/", "bench/", "docs/", "examples/", "systemd/", "contrib/")


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


# --- the pages on the code ---------------------------------------------------------------------------


def quoted(text: str) -> list[str]:
    """What stands between backticks, blocks of text left out."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@cache
def sources() -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8") for path in (ROOT / "ygg").rglob("*.py")}


def is_defined(word: str) -> bool:
    """Whether the package has this class or constant, or (`module.name`, `Class.name`) a function there."""
    first, _, name = word.partition(".")
    top = re.compile(rf"^(?:class {first}\b|{first}\b[^\n]*=)", re.MULTILINE)
    inside = re.compile(rf"^ *(?:async )?def {name}\b", re.MULTILINE)
    return any(
        ((bool(name) and path.stem == first) or top.search(text))
        and (not name or inside.search(text))
        for path, text in sources().items()
    )


def rooms_there() -> set[str]:
    """Packages and modules on the floor of ygg/."""
    found = {p.parent.name for p in (ROOT / "ygg").glob("*/__init__.py")}
    return found | {p.stem for p in (ROOT / "ygg").glob("*.py")} - {"__init__"}


def layers() -> Iterator[tuple[str, list[str]]]:
    """The rooms from the top down as import-linter is told, each line with the sign between them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {c["id"]: c for c in settings["tool"]["importlinter"]["contracts"]}
    for layer in contracts["direction"]["layers"]:
        rooms = [room for room in re.findall(r"\w+", layer) if room in rooms_there()]
        if rooms:
            yield _sign(layer, rooms), rooms


def picture() -> Iterator[tuple[str, list[str]]]:
    """The same as the page on the house draws it."""
    found = re.search(r"```\n(.*?)```", HOUSE, re.DOTALL)
    assert found is not None
    for line in found[1].splitlines():
        drawn = line.split("  ")[0]
        rooms = re.findall(r"\w+", drawn)
        yield _sign(drawn, rooms), rooms


def _sign(line: str, rooms: list[str]) -> str:
    return "".join(set(re.findall(r"[|:]", line))) if len(rooms) > 1 else ""


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=lambda p: p.name
)
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    named = [w for w in quoted(page.read_text(encoding="utf-8")) if w.startswith(OURS)]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_everything_that_the_page_on_the_house_names_is_there() -> None:
    words = quoted(HOUSE)
    files = [w for w in words if "/" in w or w.endswith((".py", ".toml", ".yaml", ".md"))]
    assert [path for path in files if not (ROOT / path).exists()] == []
    names = [w for w in words if re.fullmatch(r"[A-Z]\w+(\.[a-z_]+)?|[a-z_]+\.[a-z_]+", w)]
    names = [w for w in names if w not in files]
    assert len(files) > 80
    assert len(names) > 40
    assert [name for name in names if not is_defined(name)] == []


def test_the_picture_shows_every_room_with_the_direction_of_imports() -> None:
    drawn = [*picture()]
    assert {room for _, rooms in drawn for room in rooms} == rooms_there()
    assert drawn == [*layers()]


def test_the_rooms_inside_of_rooms_are_named() -> None:
    inner = [p.parent.relative_to(ROOT).as_posix() for p in (ROOT / "ygg").glob("*/*/__init__.py")]
    assert [room for room in inner if f"`{room}`" not in HOUSE] == []


def test_the_page_on_the_house_is_short_and_found_from_where_a_newcomer_looks() -> None:
    assert len(HOUSE.splitlines()) <= HOUSE_LINES
    for page in ("README.md", "docs/concepts.md", "docs/api.md"):
        assert "architecture.md" in (ROOT / page).read_text(encoding="utf-8"), page
