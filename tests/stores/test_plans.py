"""The hot statements find their rows through the index that was made for them, statistics or not."""

from __future__ import annotations

import re
from pathlib import Path

import apsw
import pytest

from tests.builders import new_task
from ygg.model import Priority
from ygg.stores.sqlite import batches, caching, minutes, open_store, pruned, statements
from ygg.stores.sqlite.reader import AHEAD, BEHIND, WAITING

NOW = 1_800_000_000_000
PLANS = {
    "heads": (statements.HEADS, "USING INDEX claim (lane=? AND priority=?)"),
    "claim": (statements.CLAIM, "USING INDEX sqlite_autoindex_tasks_1 (id=?)"),
    "running": (statements.RUNNING, "USING INDEX processing (epoch=?)"),
    "end": (statements.END, "USING INTEGER PRIMARY KEY (rowid=?)"),
    "ids of a set": (
        statements.SEQS_BY_IDS,
        "USING COVERING INDEX sqlite_autoindex_tasks_1 (id=?)",
    ),
    "a set before a verb": (statements.WAS_BY_SEQS, "USING INTEGER PRIMARY KEY (rowid=?)"),
    "retry of a set": (statements.RETRY, "USING INTEGER PRIMARY KEY (rowid=?)"),
    "recovery of a set": (statements.RECOVER, "USING INTEGER PRIMARY KEY (rowid=?)"),
    "a set becomes due": (statements.BECOME_DUE, "USING INTEGER PRIMARY KEY (rowid=?)"),
    "a set expires": (statements.EXPIRE, "USING INTEGER PRIMARY KEY (rowid=?)"),
    "pruning of a set": (statements.PRUNE, "USING INTEGER PRIMARY KEY (rowid=?)"),
    "cleaning of a set": (statements.CLEAN, "USING INTEGER PRIMARY KEY (rowid=?)"),
    "a dead letter goes": (statements.DISCARD, "USING INTEGER PRIMARY KEY (rowid=?)"),
    "rows of a state": (statements.IN_STATE, "USING COVERING INDEX by_state (state=? AND seq>?)"),
    "turns of a sequence": (
        batches.TURNS,
        "USING INDEX batch_open (batch=? AND <expr>=?)",
    ),
    "sequences that go on": (
        batches.IDLE,
        "USING INDEX batch_open (batch=? AND <expr>=?)",
    ),
    "sequences at all": (
        batches.ANY_OPEN,
        "USING INDEX batch_open (batch=? AND <expr>=?)",
    ),
    "states of a batch": (batches.STATES_OF, "USING INDEX by_batch (batch=?)"),
    "whose answer is lent": (
        caching.LENDER,
        "USING INDEX identical (alike=? AND state=? AND finished_ms>? AND finished_ms<?)",
    ),
    "who may be joined": (caching.TWIN, "USING INDEX identical (alike=? AND state=?)"),
    "due": (statements.DUE, "USING COVERING INDEX due (due_ms<?)"),
    "overdue": (statements.OVERDUE, "USING INDEX deadline (deadline_ms>? AND deadline_ms<?)"),
    "next due": (statements.NEXT_DUE, "USING COVERING INDEX due"),
    "next deadline": (statements.NEXT_DEADLINE, "USING INDEX deadline (deadline_ms>?)"),
    "orphans": (statements.ORPHANS, "USING COVERING INDEX processing"),
    "prunable": (
        statements.PRUNABLE,
        "USING COVERING INDEX expiry (expires_ms>? AND expires_ms<?)",
    ),
    "minutes": (minutes.SINCE, "SEARCH minutes USING PRIMARY KEY (minute_ms>?)"),
    "old minutes": (minutes.OLD, "SEARCH minutes USING PRIMARY KEY (minute_ms<?)"),
    "pruned": (pruned.BY_ID, "USING INDEX sqlite_autoindex_pruned_1 (id=?)"),
    "ahead": (AHEAD, "USING COVERING INDEX claim (lane=? AND priority=? AND rank=? AND seq<?)"),
    "behind": (BEHIND, "USING COVERING INDEX claim (lane=? AND priority=? AND rank=? AND seq>?)"),
    "waiting": (WAITING, "SEARCH counters USING PRIMARY KEY (lane=? AND priority<?)"),
}


@pytest.fixture
async def database(tmp_path: Path) -> apsw.Connection:
    store = open_store(tmp_path / "ygg.db")
    tasks = [new_task(priority=Priority(n % 5), deadline_ms=NOW + n) for n in range(300)]
    await store.submit(tasks, NOW)
    await store.close()
    return apsw.Connection(str(tmp_path / "ygg.db"))


def values_for(sql: str) -> dict[str, int] | list[int]:
    """Something to bind to each parameter."""
    named = dict.fromkeys(re.findall(r":(\w+)", sql), 1)
    numbered = {int(n) for n in re.findall(r"\?(\d)", sql)}
    return named or [1] * max(numbered, default=sql.count("?"))


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("analyzed", [False, True])
async def test_the_plan_uses_its_index(
    database: apsw.Connection, name: str, analyzed: bool
) -> None:
    if analyzed:
        database.execute("ANALYZE")
    sql, expected = PLANS[name]
    rows = database.execute(f"EXPLAIN QUERY PLAN {sql}", values_for(sql))
    steps = [row[3] for row in rows]
    assert any(expected in step for step in steps), steps
    tasks = [s for s in steps if "tasks" in s]
    assert not [s for s in tasks if s.startswith("SCAN") and "INDEX" not in s], steps
    assert not [s for s in steps if "TEMP B-TREE" in s], steps
    database.close()
