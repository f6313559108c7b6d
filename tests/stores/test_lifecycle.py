"""What a verb makes of a row is the same for whoever reads the tables and for the SQL compiled from them."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ygg.model import FINAL, TRANSITIONS, Lane, ReasonCode, State
from ygg.model import lifecycle as life
from ygg.model.cases import LIFE, Case, Gone, Verb, changes, decide
from ygg.stores.sqlite import opening, statements
from ygg.stores.sqlite.compiling import BY_SEQ, SET, delete, new, update
from ygg.stores.sqlite.ledger import Ledger

NOW = 1_800_000_000_000
LANES = [
    Lane("a"),
    Lane("a", avoid=("x/y/z",)),
    Lane("ö", refused=("r/s/t",), avoid=("x/y/z",)),
    Lane("a", refused=("r/s/t",)),
]
ON_ROWS = tuple(v for v in life.VERBS if v is not life.SUBMIT)
TIMES = st.integers(NOW - 2, NOW + 2)
MAYBE = st.none() | TIMES
SECONDS = st.none() | st.sampled_from([0.0, 0.0004, 0.0005, 1.001, 86400.0])
SMALL, TWO = st.integers(0, 5), st.integers(1, 2)
ENDS = sorted(after for before, after in TRANSITIONS if before is State.PROCESSING)

Row = dict[str, Any]


@st.composite
def rows(draw: st.DrawFn, states: st.SearchStrategy[State]) -> Row:
    """Life columns as any history could have left them."""
    state = draw(states)
    running = state is State.PROCESSING
    where = "surtr" if running else draw(st.none() | st.just("surtr"))
    return {
        "state": state, "attempt": draw(TWO), "version": draw(TWO),
        "epoch": draw(TWO if running else st.none() | TWO),
        "priority": draw(st.integers(0, 4)), "lane": draw(st.sampled_from(LANES)),
        "cancel_requested": draw(st.booleans()), "crashes": draw(SMALL), "errors": draw(SMALL),
        "deferrals": draw(SMALL), "due_ms": draw(TIMES) if state is State.SCHEDULED else None,
        "deadline_ms": draw(MAYBE), "retention_s": draw(SECONDS), "host": where,
        "endpoint": where and "main", "model": where and "m", "call": draw(st.none() | st.just("c")),
        "reason": draw(st.sampled_from(["chosen", "due", "batch_turn", "batch_stopped"])), "error": draw(st.none() | st.just("boom")),
        "queued_ms": draw(MAYBE), "started_ms": draw(MAYBE),
        "finished_ms": draw(TIMES) if state in FINAL else None, "read_ms": draw(MAYBE),
        "expires_ms": draw(MAYBE) if state in FINAL else None,
        "lends": draw(st.sampled_from([0, 1, 300_000])),
    }  # fmt: skip


@st.composite
def inputs(draw: st.DrawFn) -> Row:
    """All that any verb may be given; `lane` is a Lane here and a number for SQL."""
    wanted = draw(st.sampled_from(ENDS))
    return {
        "now": NOW, "until": NOW + 500, "epoch": draw(TWO), "keep_s": draw(st.sampled_from([0.0, 604800.5])),
        "version": draw(TWO), "host": "fenrir", "endpoint": "e", "model": "n",
        "call": draw(st.none() | st.just("call-2")), "attempt": draw(TWO),
        "state": wanted, "reason": draw(st.sampled_from([ReasonCode.DEFERRED, ReasonCode.COMPLETED])),
        "detail": draw(st.none() | st.just("why")), "lane": draw(st.none() | st.sampled_from(LANES)),
        "due_ms": draw(TIMES) if wanted is State.SCHEDULED else None, "add_errors": draw(SMALL),
        "add_deferrals": draw(SMALL), "running": draw(st.booleans()),
        "priority": draw(st.integers(0, 4)), "max_crashes": draw(st.integers(1, 6)),
        "read_keep_s": draw(st.sampled_from([0.0, 0.0005, 300.0])), "not_before_ms": draw(MAYBE),
        "turn": draw(st.booleans()), "cached": draw(st.booleans()), "retention_s": draw(SECONDS),
        "age_s": draw(st.sampled_from([0.0, 0.0005, 0.0014, 300.0])),
    }  # fmt: skip


def grid() -> Iterator[tuple[Row, Row]]:
    """Rows and inputs with each column that a condition looks at on either side of it."""
    times = (None, NOW - 1, NOW + 1)
    for state, wish, mine, time, crashes, read in itertools.product(
        State, (False, True), (1, 2), times, (0, 4), (None, NOW)
    ):
        where = "surtr" if state is State.PROCESSING else None
        of_batch = "batch_turn" if state is State.SCHEDULED else "batch_stopped"
        row = {
            "state": state, "cancel_requested": wish, "attempt": 1, "version": 1, "epoch": 1,
            "priority": 2, "lane": LANES[2], "crashes": crashes, "errors": 1, "deferrals": 1,
            "due_ms": (time or NOW) if state is State.SCHEDULED else None, "deadline_ms": time,
            "retention_s": None, "host": where, "endpoint": where, "model": where, "call": None,
            "reason": read and of_batch, "error": None, "queued_ms": NOW - 9, "started_ms": None,
            "finished_ms": NOW if state in FINAL else None, "read_ms": read, "expires_ms": time,
            "lends": 600_000 if wish else 0,
        }  # fmt: skip
        for wanted, running, later in itertools.product(ENDS, (False, True), times):
            yield row, {
                "now": NOW, "until": NOW, "attempt": mine, "version": mine, "epoch": mine, "state": wanted,
                "running": running, "turn": running, "not_before_ms": later, "max_crashes": 5, "keep_s": 60.0,
                "host": "fenrir", "endpoint": "e", "model": "n", "call": "call-2",
                "reason": ReasonCode.DEFERRED, "detail": "why", "lane": LANES[1],
                "due_ms": NOW + 5 if wanted is State.SCHEDULED else None, "add_errors": 1,
                "add_deferrals": 2, "priority": 0, "read_keep_s": 30.0, "age_s": 0.0 if running else 0.001,
                "cached": crashes > 0, "retention_s": None,
            }  # fmt: skip


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    opened = Bench()
    yield opened
    opened.db.close()


class Bench:
    """A database with nothing but the rows of one example."""

    def __init__(self) -> None:
        self.ids = itertools.count()
        self.db = apsw.Connection(":memory:")
        opening.migrate(self.db, Path(":memory:"), fresh=True)
        self.lanes = Ledger(self.db)
        for lane in LANES:  # before any savepoint, as they are remembered
            self.lanes.lane_id(lane)

    def put(self, row: Row) -> int:
        fixed = {
            "id": str(next(self.ids)), "caller": "local",
            "type": "general", "operation": "chat", "request": "{}", "title": "", "labels": "[]",
            "body_hash": "", "created_ms": NOW,
        }  # fmt: skip
        values = fixed | row | {"lane": self.lanes.lane_id(row["lane"])}
        sql = f"INSERT INTO tasks ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})"  # noqa: S608
        self.db.execute(sql, list(values.values()))
        return int(self.db.last_insert_rowid())

    def get(self, seq: int) -> Row | None:
        sql = f"SELECT {', '.join(LIFE)} FROM tasks WHERE seq = ?"  # noqa: S608
        found = self.db.execute(sql, (seq,)).fetchone()
        return None if found is None else self.row(found)

    def row(self, values: Any) -> Row:
        row = dict(zip(LIFE, values, strict=True))
        return row | {"lane": self.lanes.lane(row["lane"])}

    def run(self, sql: str, given: Row) -> list[Row]:
        lane = given["lane"]
        bound = given | {"lane": None if lane is None else self.lanes.lane_id(lane)}
        return [self.row(values) for values in [*self.db.execute(sql, bound)]]

    def undo(self, savepoint: str) -> None:
        self.db.execute(f"ROLLBACK TO {savepoint}; RELEASE {savepoint}")


def statement(verb: Verb, where: str) -> str:
    form = delete if any(isinstance(c, Gone) for c in verb.cases) else update
    return form(verb, where, ", ".join(LIFE))


def read(verb: Verb, row: Row, given: Row) -> Row | None:
    """The row as who reads the tables leaves it; None: deleted."""
    case = decide(verb, row, given)
    if isinstance(case, Gone):
        return None
    return row | changes(verb, case, row, given) if isinstance(case, Case) else row


def agree(bench: Bench, verb: Verb, before: list[Row], given: Row) -> None:
    """Reading the tables and both forms of their SQL make the same of these rows."""
    bench.db.execute("SAVEPOINT example")
    seqs = [bench.put(row) for row in before]
    wanted = [read(verb, row, given) for row in before]
    bench.db.execute("SAVEPOINT one")
    bench.run(statement(verb, BY_SEQ), given | {"seq": seqs[0]})
    assert [bench.get(s) for s in seqs] == [wanted[0], *before[1:]]
    bench.undo("one")
    told = bench.run(statement(verb, SET), given | {"seqs": json.dumps(seqs)})
    assert [bench.get(s) for s in seqs] == wanted
    changed = [w or b for w, b in zip(wanted, before, strict=True) if w != b]
    assert len(told) == len(changed)
    assert all(row in changed for row in told)
    bench.undo("example")


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verb", ON_ROWS, ids=lambda v: v.name)
def test_reading_and_sql_make_the_same_of_a_row_in_any_state(
    bench: Bench, verb: Verb, state: State
) -> None:
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(rows(st.just(state)), min_size=1, max_size=2), inputs())
    def any_rows(before: list[Row], given: Row) -> None:
        agree(bench, verb, before, given)

    any_rows()


@pytest.mark.parametrize("verb", ON_ROWS, ids=lambda v: v.name)
def test_reading_and_sql_make_the_same_of_each_case_in_each_state(bench: Bench, verb: Verb) -> None:
    seen: Counter[tuple[State, str]] = Counter()
    for row, asked in grid():
        case = decide(verb, row, asked)
        seen[row["state"], case.name if case else ""] += 1
        if seen[row["state"], case.name if case else ""] <= 4:
            agree(bench, verb, [row], asked)
    assert {state for state, _ in seen} == set(State)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(inputs())
def test_reading_and_sql_make_the_same_of_a_submit(bench: Bench, given: Row) -> None:
    case = decide(life.SUBMIT, {}, given)
    assert isinstance(case, Case)
    born = changes(life.SUBMIT, case, {}, given)
    columns = [name for name in born if name != "version"]
    sql = f"SELECT {', '.join(new(life.SUBMIT, name) for name in columns)}"
    assert bench.db.execute(sql, given).fetchone() == tuple(born[name] for name in columns)


@pytest.mark.parametrize("verb", life.VERBS, ids=lambda v: v.name)
def test_each_case_of_each_verb_is_reached_and_no_verb_takes_every_row(verb: Verb) -> None:
    found = {id(case): case for case in (decide(verb, *both) for both in grid())}
    assert {case.name for case in verb.cases} == {c.name for c in found.values() if c is not None}
    assert (None in found.values()) == bool(verb.guard)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ON_ROWS), rows(st.sampled_from(State)), inputs())
def test_no_verb_makes_an_illegal_change_and_every_write_counts_the_version(
    verb: Verb, row: Row, given: Row
) -> None:
    case = decide(verb, row, given)
    if isinstance(case, Case):
        after = row | changes(verb, case, row, given)
        if after["state"] != row["state"]:
            life.legal("t", row["state"], after["state"])
        assert (after["finished_ms"] is not None) == (after["state"] in FINAL)
        assert (after["due_ms"] is not None) == (after["state"] is State.SCHEDULED)
        assert after["version"] == row["version"] + (not verb.quiet)


def test_the_statements_over_sets_know_nothing_of_requests() -> None:
    sets = (
        statements.RECOVER,
        statements.EXPIRE,
        statements.BECOME_DUE,
        statements.PRUNE,
        statements.CLEAN,
        statements.DISCARD,
        statements.TAKE_TURN,
        statements.STOP,
        statements.WAS_BY_SEQS,
    )
    assert not [sql for sql in sets if "request" in sql.replace("cancel_requested", "")]
    assert not {"request", "title", "labels"} & set(LIFE)
