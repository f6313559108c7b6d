"""The shape of hosts.yaml: plain data through the forms, each error a problem at its key.

Hosts and types with a wrong shape are left out of what is built, so that one mistake is told once.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ygg.config import forms
from ygg.config.problems import KeyPath, Problems, known_words, near, shown, ticked

_WORDS = {
    "string_type": "text",
    "string_unicode": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "too_short": "at least one entry",
}


def shape(data: Any, problems: Problems) -> forms.FileForm | None:
    """The form of the sound parts; None when the file is wrong at its top."""
    try:
        return forms.FileForm.model_validate(data)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=True)
    for detail in errors:
        _note(_path(detail, data), detail, problems)
    return _salvage(data, {_path(detail, data)[:2] for detail in errors})


def _salvage(data: Any, broken: set[KeyPath]) -> forms.FileForm | None:
    """The file without its broken hosts, types and sections."""
    if not isinstance(data, dict) or () in broken:
        return None
    rest: dict[str, Any] = {}
    for section in ("hosts", "task_types"):
        entries = data.get(section)
        if not isinstance(entries, dict):
            return None
        rest[section] = {k: v for k, v in entries.items() if (section, k) not in broken}
    try:
        return forms.FileForm.model_validate(rest)
    except ValidationError:
        return None


def _path(detail: ErrorDetails, data: Any) -> KeyPath:
    """Where the error is. Pydantic marks an error of a key itself with a last step `[key]`; a mapping
    written as one word has no keys to point at."""
    path = detail["loc"]
    path = path[:-1] if path and path[-1] == "[key]" else path
    for n, step in enumerate(path):
        if isinstance(data, str):
            return path[:n]
        parts = dict(enumerate(data)) if isinstance(data, list) else data
        data = parts.get(step) if isinstance(parts, dict) else None
    return path


def _note(path: KeyPath, detail: ErrorDetails, problems: Problems) -> None:
    kind = detail["type"]
    if any(p.path == path for p in problems.found):
        return
    if kind == "extra_forbidden":
        _unknown_key(path, problems)
    elif kind == "missing":
        problems.add(path[:-1], f"the key `{path[-1]}`", "none")
    else:
        expected = _WORDS.get(kind, detail["msg"])
        hint = detail.get("ctx", {}).get("hint", "")
        problems.add(path, expected, shown(detail["input"]), hint)


def _unknown_key(path: KeyPath, problems: Problems) -> None:
    word, form = str(path[-1]), forms.form_at(path[:-1])
    known = list(form.model_fields) if form else []
    problems.add(path, "a known key", ticked(word), near(word, known) or known_words(known))
