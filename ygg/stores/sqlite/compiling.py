"""The verbs of `model.lifecycle` as SQL: one guarded statement each, for one row or a set of rows.

An input `name` of a verb is the parameter `:name`. The statement alone decides, on the row as it is when it
is written. RETURNING knows new values only: who wants to know what a statement replaces reads it before, in
the same transaction.
"""

from __future__ import annotations

from enum import Enum

from ygg.model.cases import (
    Ahead,
    AtMost,
    Case,
    Condition,
    Either,
    Gone,
    In,
    Is,
    Least,
    Most,
    Ms,
    Not,
    Old,
    OneOf,
    Plus,
    Unmarked,
    Value,
    Verb,
)

BY_ID, BY_SEQ = "id = :id", "seq = :seq"
SET = "seq IN (SELECT value FROM json_each(:seqs))"


def update(verb: Verb, rows: str, returning: str) -> str:
    """The statement that does what the verb says to `rows` (BY_ID, BY_SEQ or SET), and returns these columns
    of each row it has changed. Rows that guard or cases leave alone are not returned."""
    columns = dict.fromkeys(name for case in _changing(verb) for name in case.change)
    sets = [f"{name} = {new(verb, name)}" for name in columns]
    sets += [] if verb.quiet else ["version = version + 1"]
    hint = " NOT INDEXED" if rows == SET else ""
    return (
        f"UPDATE tasks{hint} SET {', '.join(sets)} WHERE {_where(verb, rows)} RETURNING {returning}"
    )


def delete(verb: Verb, rows: str, returning: str) -> str:
    """The statement that deletes the rows that the verb says go, and returns these columns of them."""
    return f"DELETE FROM tasks NOT INDEXED WHERE {_where(verb, rows)} RETURNING {returning}"


def _where(verb: Verb, rows: str) -> str:
    """These rows, where the guard holds and the first case that fits is one that changes them."""
    wanted = [rows, *(_condition(c) for c in verb.guard)]
    arms = [(_all(c.when), str(int(isinstance(c, Case | Gone)))) for c in verb.cases]
    fits = _first(arms, "0")
    return " AND ".join(wanted if fits == "1" else [*wanted, fits])


def _changing(verb: Verb) -> list[Case]:
    return [c for c in verb.cases if isinstance(c, Case)]


def new(verb: Verb, column: str) -> str:
    """What the column becomes: as the first case says that fits."""
    arms = [(_all(c.when), _value(c.change.get(column, Old(column)))) for c in _changing(verb)]
    return _first(arms, column)


def _first(arms: list[tuple[str, str]], otherwise: str) -> str:
    """CASE … END over (condition, value), neighbours of the same value joined; shorter where it can be."""
    joined: list[tuple[list[str], str]] = []
    for condition, value in arms:
        if not joined or joined[-1][1] != value:
            joined.append(([], value))
        joined[-1][0].append(condition)
    if any("1" in conditions for conditions, _ in joined[-1:]):
        otherwise = joined.pop()[1]
    whens = [f"WHEN {' OR '.join(conditions)} THEN {value}" for conditions, value in joined]
    return f"CASE {' '.join(whens)} ELSE {otherwise} END" if whens else otherwise


def _all(conditions: tuple[Condition, ...]) -> str:
    return " AND ".join(_condition(c) for c in conditions) or "1"


def _condition(condition: Condition) -> str:
    """Never NULL: a comparison with nothing is false."""
    match condition:
        case Is(left, right):
            return f"{_value(left)} IS {_value(right)}"
        case OneOf(what, among):
            return f"({' OR '.join(f'{_value(what)} IS {_value(a)}' for a in among)})"
        case AtMost(what, bound):
            return f"coalesce({_value(what)} <= {_value(bound)}, 0)"
        case Not(inner):
            return f"NOT ({_condition(inner)})"


def _value(what: Value) -> str:
    match what:
        case Old(column):
            return column
        case In(name):
            return f":{name}"
        case Plus(left, right):
            return f"({_value(left)} + {_value(right)})"
        case Ms(seconds):
            return f"CAST({_value(seconds)} * 1000 + 0.5 AS INTEGER)"
        case Either(first, second):
            return f"coalesce({_value(first)}, {_value(second)})"
        case Least(first, second):
            one, other = _value(first), _value(second)
            return f"min(coalesce({one}, {other}), coalesce({other}, {one}))"
        case Most(first, second):
            one, other = _value(first), _value(second)
            return f"max(coalesce({one}, {other}), coalesce({other}, {one}))"
        case Ahead(time, now):
            return f"iif({_value(time)} > {_value(now)}, {_value(time)}, NULL)"
        case Unmarked(refused):
            form = "unmarked" if refused else "unavoided"
            return f"coalesce((SELECT {form} FROM lanes WHERE id = tasks.lane), lane)"
        case constant:
            return _literal(constant)


def _literal(constant: str | int | bool | None) -> str:
    if constant is None:
        return "NULL"
    if isinstance(constant, str):
        return "'" + str(constant.value if isinstance(constant, Enum) else constant) + "'"
    return str(int(constant))
