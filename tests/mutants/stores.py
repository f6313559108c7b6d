"""Planted bugs in the durable queue."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: list[Mutant] = [
    Mutant(
        "an end is not fenced by its attempt",
        "ygg/stores/sqlite/verbs.py",
        "\" WHERE id = ? AND attempt = ? AND state = 'processing'\"\n)\n_FINISH",
        "\" WHERE id = ? AND attempt >= ? - 99 AND state = 'processing'\"\n)\n_FINISH",
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "commits are not synced",
        "ygg/stores/sqlite/opening.py",
        '        f"synchronous = {synchronous}",',
        '        "synchronous = NORMAL",',
        ("tests/stores/test_powercut.py::test_nothing_acknowledged_is_lost_in_25_power_cuts",),
    ),
    Mutant(
        "an operation is acknowledged before its COMMIT",
        "ygg/stores/sqlite/writer.py",
        '            self._before_commit()\n            connection.execute("COMMIT")',
        '            self._before_commit()\n            self._resolve(group)\n            connection.execute("COMMIT")',
        ("tests/stores/test_powercut.py::test_nothing_acknowledged_is_lost_in_25_power_cuts",),
    ),
    Mutant(
        "the write-ahead log is never folded under load",
        "ygg/stores/sqlite/writer.py",
        "                if self._wal_pages >= FOLD_PAGES:",
        "                if False:",
        ("tests/stores/test_faults.py::test_the_write_ahead_log_stays_short_while_work_goes_on",),
    ),
    Mutant(
        "recovery takes the tasks of the living",
        "ygg/stores/sqlite/verbs.py",
        "state = 'processing' AND epoch <> ?\"",
        "state = 'processing' AND epoch <> -?\"",
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "heads come in no order",
        "ygg/stores/sqlite/verbs.py",
        'priority = ? ORDER BY rank, seq LIMIT ?"',
        'priority = ? ORDER BY rank, seq DESC LIMIT ?"',
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "heads come without regard to their rank",
        "ygg/stores/sqlite/verbs.py",
        'priority = ? ORDER BY rank, seq LIMIT ?"',
        'priority = ? ORDER BY seq LIMIT ?"',
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "an old database is copied once more after its first upgrade",
        "ygg/stores/sqlite/opening.py",
        '        db.execute("BEGIN IMMEDIATE")\n        try:\n            db.execute(sql)',
        '        _backup(db, path, version)\n        db.execute("BEGIN IMMEDIATE")\n        try:\n            db.execute(sql)',
        ("tests/stores/test_migration.py",),
    ),
    Mutant(
        "a claim ignores the version",
        "ygg/stores/sqlite/verbs.py",
        '" WHERE id = ? AND version = ? AND state',
        '" WHERE id = ? AND version >= ? - 99 AND state',
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "a claim takes what is overdue",
        "ygg/stores/sqlite/verbs.py",
        "(deadline_ms IS NULL OR deadline_ms > ?)",
        "(deadline_ms IS NULL OR deadline_ms > -?)",
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "a counter is forgotten",
        "ygg/stores/sqlite/ledger.py",
        "        self._op_counts[lane, priority, state] -= 1\n",
        "        self._op_counts[lane, priority, state] -= 0\n",
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "counters of a failed operation stay",
        "ygg/stores/sqlite/ledger.py",
        "            except BaseException:\n                self._forget()\n",
        "            except BaseException:\n                self._merge()\n",
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "due tasks are promoted before their time",
        "ygg/stores/sqlite/verbs.py",
        "state = 'scheduled' AND due_ms <= ?\"",
        "state = 'scheduled' AND due_ms <= ? + 5\"",
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "a wish to cancel is overridden by a retry",
        "ygg/stores/sqlite/verbs.py",
        "        if wanted and end.state in _OVERRIDDEN:",
        "        if False:",
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "crashes have no limit",
        "ygg/stores/sqlite/verbs.py",
        "task.crashes + 1 >= max_crashes",
        "task.crashes + 1 >= max_crashes + 9",
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "a repeated key makes another task",
        "ygg/stores/sqlite/verbs.py",
        "        if seen is not None:\n            return seen",
        "        if False:\n            return seen",
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "illegal transitions pass",
        "ygg/stores/sqlite/ledger.py",
        "        if not note and change not in TRANSITIONS:",
        "        if False:",
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "a failed group is not tried one by one",
        "ygg/stores/sqlite/writer.py",
        "            alone = self._transaction([job])",
        "            alone = error",
        ("tests/stores/test_faults.py::test_a_group_whose_commit_fails_is_tried_one_by_one",),
    ),
]
