"""The words in which `lifecycle.py` says what a verb makes of a task, and how to read them.

A verb is a guard and an ordered tuple of cases: the first case whose conditions all hold for the row, as it
is when it is written, says what happens. Where the guard or no case fits, nothing does. All of it is data
made of columns, inputs of the verb, constants and a few sums, so that it can be read here for a store in
memory and be compiled into one guarded statement by a store in SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ygg.errors import Conflict
from ygg.model.tasks import Lane, Task
from ygg.model.words import ReasonCode

#: The columns of a task that verbs look at or change: never its request.
LIFE = (
    "state", "attempt", "epoch", "version", "priority", "lane", "cancel_requested", "crashes", "errors",
    "deferrals", "due_ms", "deadline_ms", "retention_s", "host", "endpoint", "model", "call", "reason",
    "error", "queued_ms", "started_ms", "finished_ms", "read_ms", "expires_ms",
    "lends",
)  # fmt: skip

Row = Mapping[str, Any]  #: a task's life columns by name
Given = Mapping[str, Any]  #: a verb's inputs by name

# --- values; a constant stands for itself ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Old:
    """A column as it was before the verb."""

    column: str


@dataclass(frozen=True, slots=True)
class In:
    """An input of the verb."""

    name: str


@dataclass(frozen=True, slots=True)
class Plus:
    """A sum; None when a part is None."""

    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Ms:
    """Seconds as whole milliseconds, half of one rounded up; None stays None."""

    seconds: Value


@dataclass(frozen=True, slots=True)
class Either:
    """The first, or where it is None the second."""

    first: Value
    second: Value


@dataclass(frozen=True, slots=True)
class Least:
    """The smaller one of two values that are not None."""

    first: Value
    second: Value


@dataclass(frozen=True, slots=True)
class Most:
    """The larger one of two values that are not None."""

    first: Value
    second: Value


@dataclass(frozen=True, slots=True)
class Ahead:
    """A time while it is later than `now`, else None."""

    time: Value
    now: Value


@dataclass(frozen=True, slots=True)
class Unmarked:
    """The row's lane without its `avoid` list, and with `refused` without that one too."""

    refused: bool


Value = Old | In | Plus | Ms | Either | Least | Most | Ahead | Unmarked | str | int | bool | None

# --- conditions ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Is:
    """Equal; None is equal to None."""

    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class OneOf:
    """Equal to one of some constants."""

    what: Value
    among: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AtMost:
    """Not larger than the bound; false when either is None."""

    what: Value
    bound: Value


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition


Condition = Is | OneOf | AtMost | Not

# --- verbs -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """What changes. `version` + 1 is understood; columns that are not named stay."""

    name: str
    when: tuple[Condition, ...]
    change: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing changes, and the caller is told why; `{id}` and `{state}` are filled in."""

    name: str
    when: tuple[Condition, ...]
    text: str
    hint: str = ""

    def error(self, task_id: str, state: str) -> Conflict:
        text, hint = (t.format(id=task_id, state=state) for t in (self.text, self.hint))
        return Conflict(text, hint=hint)


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing has to change: the row is as the caller wants it."""

    name: str
    when: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Gone:
    """The row is deleted with everything that hangs on it."""

    name: str
    when: tuple[Condition, ...]


AnyCase = Case | Refusal | Stay | Gone


@dataclass(frozen=True, slots=True)
class Verb:
    """`note` is the reason of the event log's row where the state stays; a `quiet` verb leaves no such
    row and the version as it is."""

    name: str
    guard: tuple[Condition, ...]
    cases: tuple[AnyCase, ...]
    note: ReasonCode | None = None
    quiet: bool = False


def row_of(
    task: Task, expires_ms: int | None = None, read_ms: int | None = None, lends: int = 0
) -> Row:
    """A task's life columns; those that are given are not among its fields. `lends`: milliseconds from its end on."""
    given = {"expires_ms": expires_ms, "read_ms": read_ms, "lends": lends}
    return {name: getattr(task, name) for name in LIFE if name not in given} | given


# --- reading them ----------------------------------------------------------------------------------


def decide(verb: Verb, row: Row, given: Given) -> AnyCase | None:
    """The case that fits the row; None when nothing is to be done with it."""
    if not all(holds(c, row, given) for c in verb.guard):
        return None
    return next((c for c in verb.cases if all(holds(w, row, given) for w in c.when)), None)


def changes(verb: Verb, case: Case, row: Row, given: Given) -> dict[str, Any]:
    """The new values of the columns that the case names, and of the version."""
    changed = {column: value(v, row, given) for column, v in case.change.items()}
    return changed if verb.quiet else changed | {"version": row.get("version", 0) + 1}


def holds(condition: Condition, row: Row, given: Given) -> bool:
    match condition:
        case Is(left, right):
            return bool(value(left, row, given) == value(right, row, given))
        case OneOf(what, among):
            return value(what, row, given) in among
        case AtMost(what, bound):
            number, most = value(what, row, given), value(bound, row, given)
            return number is not None and most is not None and number <= most
        case Not(inner):
            return not holds(inner, row, given)


def value(what: Value, row: Row, given: Given) -> Any:
    match what:
        case Old(column):
            return row[column]
        case In(name):
            return given[name]
        case Plus(left, right):
            parts = value(left, row, given), value(right, row, given)
            return None if None in parts else sum(parts)
        case Ms(seconds):
            found = value(seconds, row, given)
            return None if found is None else int(found * 1000 + 0.5)
        case Either(first, second):
            found = value(first, row, given)
            return value(second, row, given) if found is None else found
        case Least(first, second):
            both = value(first, row, given), value(second, row, given)
            return min((v for v in both if v is not None), default=None)
        case Most(first, second):
            both = value(first, row, given), value(second, row, given)
            return max((v for v in both if v is not None), default=None)
        case Ahead(time, now):
            found = value(time, row, given)
            return found if found is not None and found > value(now, row, given) else None
        case Unmarked(refused):
            lane: Lane = row["lane"]
            return lane.unmarked if refused else lane.unavoided
        case constant:
            return constant
