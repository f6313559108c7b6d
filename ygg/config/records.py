"""What hosts.yaml says, as frozen records. Standard library only: the dispatcher reads these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from ygg.config.patterns import compiled
from ygg.model import Api, Host, Metrics, Policy, Privacy, TaskType
from ygg.model.notices import Target

GENERAL = "general"  #: the type every configuration has: unknown types run on its route


class Said(NamedTuple):
    """What the environment says of a setting. `used`: it is in force; `why` not, or what of it is."""

    name: str  #: of the variable
    key: str  #: of hosts.yaml; "" where there is none
    value: Any
    used: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """One validated hosts.yaml. `fingerprint` changes when a setting or the order of entries does; comments
    and spelling do not count. `left_out`: a line for each setting of the file that has no effect; `notes`: one for each
    that has an effect elsewhere, too."""

    hosts: Mapping[str, Host]
    types: Mapping[str, TaskType]
    policy: Policy
    source: Path
    fingerprint: str
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    privacy: Privacy = field(default_factory=Privacy)
    api: Api = field(default_factory=Api)
    notify: tuple[Target, ...] = ()
    environment: tuple[Said, ...] = ()
    metrics: Metrics = field(default_factory=Metrics)

    def __hash__(self) -> int:
        """So that what follows from it can be remembered."""
        return hash(self.fingerprint)

    def type_of(self, name: str) -> TaskType:
        """The type of that name; for an unknown one `general`'s rules under the given name."""
        known = self.types.get(name)
        return known if known is not None else replace(self.types[GENERAL], name=name)

    def detect_type(self, labels: Iterable[str], title: str) -> str:
        """The type of a task that names none: by a label that is a type's name, by `match.labels`,
        by `match.titles`, else `general`. Of several types the first of the file wins."""
        given = tuple(labels)
        named = next((label for label in given if label in self.types), None)
        return named or self._by_label(set(given)) or self._by_title(title) or GENERAL

    def _by_label(self, labels: set[str]) -> str | None:
        found = (t.name for t in self.types.values() if labels.intersection(t.match_labels))
        return next(found, None)

    def _by_title(self, title: str) -> str | None:
        for kind in self.types.values():
            if any(compiled(p).search(title) is not None for p in kind.match_titles):
                return kind.name
        return None
