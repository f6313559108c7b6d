"""Which model suits which kind of work, by the names people give to models."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ygg.ops.first.discovery import Model

EMBEDS = re.compile(r"embed|\bbge\b|minilm|\be5\b|\bgte\b|rerank|whisper|\btts\b", re.IGNORECASE)
CODES = re.compile(r"(?<![ed])cod(e|er|ing)|codestral|devstral", re.IGNORECASE)
THINKS = re.compile(r"\b(r1|o1|qwq)\b|reason|think|magistral|gpt-oss|\bqwen3\b", re.IGNORECASE)
SEES = re.compile(r"llava|vision|\bvl\b|moondream", re.IGNORECASE)
BILLIONS = re.compile(r"(?:(\d+)x)?(\d+(?:\.\d+)?)b(?![a-z])", re.IGNORECASE)
MILLIONS = re.compile(r"(\d+)m(?![a-z])", re.IGNORECASE)

UNKNOWN_BILLIONS = 7.0
BYTES_PER_BILLION = 0.65e9  #: at the usual four to five bits a weight
TEXT_BILLIONS = 3.0  #: smaller ones make too many mistakes in summaries
ROUTE = 4  #: places of a route


@dataclass(frozen=True, slots=True)
class Choice:
    """A model of one server of a host."""

    host: str
    server: str
    model: Model


def chats(model: Model) -> bool:
    """Whether it generates text; embedding and speech models do not."""
    return EMBEDS.search(model.name) is None


def billions(model: Model) -> float:
    """Parameters, from what the server says, the name, or the size of the file."""
    if model.billions is not None:
        return model.billions
    found = BILLIONS.search(model.name)
    if found:
        return int(found[1] or 1) * float(found[2])
    small = MILLIONS.search(model.name)
    if small:
        return int(small[1]) / 1000
    return UNKNOWN_BILLIONS if model.size is None else model.size / BYTES_PER_BILLION


def general(model: Model) -> tuple[float, ...]:
    """The largest that is made for nothing special. Smaller keys are better, here and below."""
    return (_is(CODES, model) + _is(SEES, model), -billions(model))


def code(model: Model) -> tuple[float, ...]:
    return (1 - _is(CODES, model), _is(SEES, model), -billions(model))


def text(model: Model) -> tuple[float, ...]:
    """Quick rather than clever: the smallest that is large enough and does not think first."""
    special = _is(CODES, model) + _is(SEES, model) + _is(THINKS, model)
    return (special, billions(model) < TEXT_BILLIONS, billions(model))


def reasoning(model: Model) -> tuple[float, ...]:
    return (1 - _is(THINKS, model), _is(CODES, model), -billions(model))


RULES = {
    "code-generation": code,
    "text-processing": text,
    "reasoning": reasoning,
    "general": general,
}


def route(kind: str, choices: Sequence[Choice]) -> list[Choice]:
    """Best first, the best of each server, as many as a route needs; no model of a host twice."""
    rule = RULES[kind]
    ordered = sorted(choices, key=lambda choice: rule(choice.model))
    best: dict[tuple[str, str], Choice] = {}
    for choice in ordered:
        best.setdefault((choice.host, choice.server), choice)
    places = {(c.host, c.model.name): c for c in best.values()}
    return list(places.values())[:ROUTE]


def _is(pattern: re.Pattern[str], model: Model) -> int:
    return int(pattern.search(model.name) is not None)
