"""The statements of the queue: verbs compiled from `model.lifecycle`, and reads that find their rows.

Each hot one goes through the index that was made for it; `tests/stores/test_plans.py` looks.
"""

from __future__ import annotations

from typing import NamedTuple

from ygg.model import ReasonCode
from ygg.model import lifecycle as life
from ygg.model.batches import NEVER_MS
from ygg.stores.sqlite.compiling import BY_ID, BY_SEQ, SET, delete, new, update
from ygg.stores.sqlite.rows import HEAD_COLUMNS, LIGHT_COLUMNS, RESULT_COLUMNS, TASK_COLUMNS


class Was(NamedTuple):
    """What a statement replaces."""

    seq: int
    state: str
    lane: int
    priority: int
    host: str | None = None
    endpoint: str | None = None
    model: str | None = None
    single: int = 0


CLAIM = update(life.CLAIM, BY_ID, f"{TASK_COLUMNS}, single")
END = update(life.END, BY_SEQ, TASK_COLUMNS)
CANCEL = update(life.CANCEL, BY_SEQ, TASK_COLUMNS)
PRIORITIZE = update(life.PRIORITIZE, BY_SEQ, TASK_COLUMNS)
TOUCH_READ = update(life.TOUCH_READ, BY_ID, "seq")
RETRY = update(life.RETRY, SET, TASK_COLUMNS)
RECOVER = update(life.RECOVER, SET, LIGHT_COLUMNS)
EXPIRE = update(life.EXPIRE, SET, LIGHT_COLUMNS)
_AS_HEAD = f"{LIGHT_COLUMNS}, created_ms, deadline_ms, rank, title"
BECOME_DUE = update(life.BECOME_DUE, SET, _AS_HEAD)
TAKE_TURN = update(life.TAKE_TURN, SET, _AS_HEAD)
STOP = update(life.STOP, SET, LIGHT_COLUMNS)
_DELETED = "lane, priority, state, batch, id, finished_ms, read_ms"
PRUNE = delete(life.PRUNE, SET, _DELETED)
CLEAN = delete(life.CLEAN, SET, _DELETED)
DISCARD = delete(life.DISCARD, SET, _DELETED)

_WAS = f"SELECT {', '.join(Was._fields)} FROM tasks"
WAS_BY_ID = f"{_WAS} WHERE id = ?"
WAS_BY_SEQS = f"{_WAS} NOT INDEXED WHERE seq IN (SELECT value FROM json_each(?))"
SEQS_BY_IDS = "SELECT seq FROM tasks WHERE id IN (SELECT value FROM json_each(?))"

HEADS = (
    f"SELECT {HEAD_COLUMNS} FROM tasks INDEXED BY claim"
    " WHERE state = 'queued' AND lane = ? AND priority = ? ORDER BY rank, seq LIMIT ?"
)
RUNNING = (
    "SELECT id, attempt, call, priority, cancel_requested FROM tasks INDEXED BY processing"
    " WHERE state = 'processing' AND epoch = ?"
)
OVERDUE = (
    "SELECT seq FROM tasks INDEXED BY deadline WHERE deadline_ms IS NOT NULL"
    " AND state IN ('queued', 'scheduled') AND deadline_ms <= ? ORDER BY deadline_ms LIMIT ?"
)
DUE = (
    "SELECT seq FROM tasks INDEXED BY due WHERE state = 'scheduled' AND due_ms <= ?"
    " ORDER BY due_ms, seq LIMIT ?"
)
SAID_DUE = DUE.replace(
    "AND due_ms", f"AND reason = '{ReasonCode.SUBMITTED}' AND due_ms"
)  # by a person
NEXT_DUE = f"SELECT min(due_ms) FROM tasks INDEXED BY due WHERE state = 'scheduled' AND due_ms < {NEVER_MS}"
NEXT_DEADLINE = (
    "SELECT min(deadline_ms) FROM tasks INDEXED BY deadline WHERE deadline_ms IS NOT NULL"
    " AND state IN ('queued', 'scheduled')"
)
ORPHANS = (
    "SELECT seq FROM tasks INDEXED BY processing WHERE state = 'processing' AND epoch <> ? LIMIT ?"
)
PRUNABLE = (
    "SELECT seq FROM tasks INDEXED BY expiry"
    " WHERE expires_ms IS NOT NULL AND expires_ms <= ? ORDER BY expires_ms LIMIT ?"
)
IN_STATE = (
    "SELECT seq FROM tasks INDEXED BY by_state WHERE state = ? AND seq > ? ORDER BY seq LIMIT ?"
)
TASK = f"SELECT {TASK_COLUMNS} FROM tasks WHERE id = ?"
_BORN = ("state", "due_ms", "queued_ms", "reason", "finished_ms", "expires_ms")
_GIVEN = (
    "id, lane, caller, type, priority, operation, request, title, labels, timeout_s, deadline_ms,"
    " retention_s, idempotency_key, body_hash, batch, content_type, attached, source, source_ref,"
    " source_version, rank, alike, lends, cached_from, model, single"
)
_BEING = ", ".join(new(life.SUBMIT, name) for name in _BORN)
for _n, _name in enumerate(("now", "not_before_ms", "turn", "cached", "retention_s", "keep_s"), 1):
    _BEING = _BEING.replace(f":{_name}", f"?{_n}")
INSERT = (
    f"INSERT INTO tasks (created_ms, {', '.join(_BORN)}, {_GIVEN})"
    f" SELECT ?1, {_BEING}"
    f"{', ?' * len(_GIVEN.split(','))} RETURNING {TASK_COLUMNS}"
)
RESULT = f"INSERT INTO results (task, {RESULT_COLUMNS}) VALUES (?{', ?' * len(RESULT_COLUMNS.split(','))})"
