"""No setting is taken in silence: each has an effect, or is refused with what to do instead."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.test_config import GOOD, complaints, edited, read
from ygg import config
from ygg.config.build import build
from ygg.config.forms import ANY, FORMS
from ygg.config.inert import INERT
from ygg.config.problems import Problems
from ygg.errors import ConfigError

PACKAGE = Path(config.__file__).parents[1]

#: Where the settings of a section must be read: decisions and drivers count, the configuration does not.
READERS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("hosts", ANY): ("core",),
    ("hosts", ANY, "models", ANY): ("core",),
    ("hosts", ANY, "telemetry"): ("core", "probes"),
    ("hosts", ANY, "pressure"): ("core",),
    ("hosts", ANY, "heat"): ("core",),
    ("hosts", ANY, "endpoints", ANY): ("core", "backends", "wire.py"),
    ("hosts", ANY, "endpoints", ANY, "models", ANY): ("core",),
    ("task_types", ANY): ("core", "intake/sharing.py"),
    ("task_types", ANY, "route", ANY): ("core",),
    ("task_types", ANY, "match"): ("config/records.py",),
    ("api",): ("api", "daemon.py", "config/addresses.py"),
    ("metrics",): ("metrics", "daemon.py"),
    ("api", "jwt"): ("api", "config/keys.py"),
    ("api", "tls"): ("config/keys.py",),
    ("notify", ANY): ("notify", "telling/holding.py", "model/notices.py"),
}
#: Keys that the records know by another name.
RENAMED = {
    ("task_types", ANY, "match", "labels"): "match_labels",
    ("task_types", ANY, "match", "titles"): "match_titles",
    ("hosts", ANY, "models", ANY, "name"): "models",
    ("hosts", ANY, "models", ANY, "memory"): "sizes",
    ("hosts", ANY, "endpoints", ANY, "models", ANY, "name"): "models",
    ("hosts", ANY, "endpoints", ANY, "models", ANY, "memory"): "sizes",
    ("notify", ANY, "ntfy"): "url",
    ("notify", ANY, "webhook"): "url",
    ("notify", ANY, "email"): "to",
}
#: Written for people, who find them in `ygg config show`.
NOTES = {("hosts", ANY, "tags")}
SHORT = ("backend", "url", "models", "dialect", "api_key_file", "options")  #: of an endpoint


def leaves() -> Iterator[tuple[str, ...]]:
    """Every key of hosts.yaml that holds a value of its own."""
    for path, form in FORMS.items():
        for key in form.model_fields:
            here = (*path, key)
            if here not in FORMS and (*here, ANY) not in FORMS and key != "api":
                yield here


@cache
def reads(place: str) -> frozenset[str]:
    """The attributes that the modules below a folder or file of the package read."""
    found = PACKAGE / place
    files = [found] if found.suffix else sorted(found.rglob("*.py"))
    nodes = (n for f in files for n in ast.walk(ast.parse(f.read_text(encoding="utf-8"))))
    return frozenset(
        n.attr for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)
    )


def readers(path: tuple[str, ...]) -> tuple[str, ...]:
    if path[:2] == ("hosts", ANY) and path[-1] in SHORT and len(path) == 3:
        path = ("hosts", ANY, "endpoints", ANY, path[-1])
    every = tuple(p.name for p in PACKAGE.iterdir() if p.name not in ("config", "model"))
    return READERS.get(path[:-1], every)


def without_effect() -> list[str]:
    """The settings that nobody reads."""
    return [
        ".".join(path)
        for path in leaves()
        if path not in NOTES
        and not any(_names(path) & reads(place) for place in readers(path) if "__" not in place)
    ]


def _names(path: tuple[str, ...]) -> set[str]:
    key = RENAMED.get(path, path[-1])
    return {key, f"{key}_s", f"{key}_mb"}


def test_every_setting_is_read_by_what_it_is_for() -> None:
    assert len(list(leaves())) > 70
    assert without_effect() == []


def test_a_setting_that_is_refused_is_no_key_of_any_form() -> None:
    known = {(*path, key) for path, form in FORMS.items() for key in form.model_fields}
    assert known.isdisjoint(INERT)


def test_notes_are_shown() -> None:
    shown = config.describe(config.load(PACKAGE.parent / "hosts.yaml"))
    assert shown["hosts"]["skadi-code"]["tags"] == ["4gb"]


# --- settings without effect ----------------------------------------------------------------------

TEXTS = {
    ("api", "token_file"): ("'tokens'", "api: {token_file: tokens}"),
    ("policies", "bundle_sizes"): ("a list", "policies: {bundle_sizes: [1, 1, 1, 1]}"),
}


def strictly(tmp_path: Path, text: str) -> list[str]:
    """What the check says, line by line, without the folder."""
    path = tmp_path / "hosts.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(path, strict=True)
    return caught.value.message.replace(f"{tmp_path}/", "").splitlines()


@pytest.mark.parametrize("path", INERT)
def test_a_setting_without_effect_is_refused_with_place_reason_and_remedy(
    tmp_path: Path, path: tuple[str, str]
) -> None:
    got, line = TEXTS[path]
    assert strictly(tmp_path, f"{GOOD}{line}\n") == [
        f"hosts.yaml:18: {'.'.join(path)}: expected no such setting, got {got}; "
        f"it has no effect: {INERT[path]}"
    ]
    assert "remove the key" in INERT[path]


@pytest.mark.parametrize("path", INERT)
def test_else_it_is_left_out_and_told(tmp_path: Path, path: tuple[str, str]) -> None:
    plain = read(tmp_path, GOOD)
    lenient = read(tmp_path, f"{GOOD}{TEXTS[path][1]}\n")
    assert plain.left_out == ()
    assert [line.partition(": expected")[0] for line in lenient.left_out] == [
        f"{tmp_path}/hosts.yaml:18: {'.'.join(path)}"
    ]
    assert (lenient.policy, lenient.fingerprint) == (plain.policy, plain.fingerprint)


def test_it_is_told_beside_other_mistakes(tmp_path: Path) -> None:
    text = edited(("slots: 2", "slots: two")) + "api: {token_file: x}\n"
    assert [line.split(":")[1] for line in strictly(tmp_path, text)] == ["3", "18"]
    assert len(complaints(tmp_path, text)) == 1  # else only what keeps the file from being used


@pytest.mark.parametrize("section", ["api:", "api: {}", "api: {listen: }", "policies:"])
def test_a_section_that_sets_nothing_is_no_mistake(tmp_path: Path, section: str) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text(f"{GOOD}{section}\n")
    assert config.load(path, strict=True).left_out == ()


@pytest.mark.parametrize("data", [None, 3, [], "text", {"api": 3}, {"policies": [1]}])
def test_odd_shapes_are_left_to_the_forms(data: object) -> None:
    with pytest.raises(ConfigError):
        build(data, Problems("test"), Path("test"), strict=True)


# --- files that a setting names -------------------------------------------------------------------


def keyed(name: str) -> str:
    return edited(("    slots: 2\n", f"    slots: 2\n    api_key_file: {name}\n"))


def test_a_named_file_that_is_there_is_right(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k")
    (tmp_path / "hosts.yaml").write_text(keyed("key"))
    config.load(tmp_path / "hosts.yaml", strict=True)


def test_a_named_file_that_is_missing_or_a_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    place = "hosts.yaml:4: hosts.surtr.api_key_file: expected a file that holds an API key, got"
    assert strictly(tmp_path, keyed("key")) == [
        f"{place} key, which does not exist; create it, or remove the key"
    ]
    assert strictly(tmp_path, keyed("keys")) == [f"{place} the directory keys; name a file in it"]


def test_a_named_file_that_may_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("k")
    opened = Path.open

    def denied(path: Path, *args: Any, **more: Any) -> Any:
        if path.name == "key":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **more)

    monkeypatch.setattr(Path, "open", denied)  # the user of this test may be root
    assert "may not read; check as the user that runs ygg" in strictly(tmp_path, keyed("key"))[0]


def test_a_start_does_not_fail_for_a_named_file(tmp_path: Path) -> None:
    read(tmp_path, keyed("key"))
