"""Planted bugs in the durable queue."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: list[Mutant] = [
    Mutant(
        "what was deleted is not remembered",
        "ygg/stores/sqlite/verbs.py",
        "        pruned.record(self._db, went)\n",
        "",
        ("tests/surface/test_pruned.py::test_the_database_remembers_what_was_deleted",),
    ),
    Mutant(
        "an end that fits two deleted tasks is taken for one",
        "ygg/stores/sqlite/pruned.py",
        "= ?2 LIMIT 2",
        "= ?2 LIMIT 1",
        (
            "tests/contract/test_pruned.py::test_a_pruned_task_is_remembered_by_its_id_and_by_an_end_of_it",
        ),
    ),
    Mutant(
        "what was deleted is remembered for ever",
        "ygg/stores/sqlite/pruned.py",
        "    db.execute(_FORGET, (PRUNED_KEPT,))\n",
        "",
        (
            "tests/contract/test_pruned.py::test_no_more_than_the_newest_pruned_tasks_are_remembered",
        ),
    ),
    Mutant(
        "an end is not fenced by its attempt",
        "ygg/model/lifecycle.py",
        '        Is(Old("attempt"), In("attempt")),\n',
        "",
        (
            "tests/contract/test_queue.py::test_a_second_end_and_an_end_of_an_old_attempt_change_nothing",
        ),
    ),
    Mutant(
        "what was committed is answered before its sync",
        "ygg/stores/sqlite/writer.py",
        "        announce(waiting)\n",
        "        answer(waiting)\n",
        ("tests/stores/test_powercut.py::test_nothing_acknowledged_is_lost_in_25_power_cuts",),
    ),
    Mutant(
        "an operation is acknowledged before its COMMIT",
        "ygg/stores/sqlite/writer.py",
        "            self._before_commit()\n",
        "            answer(group)\n            self._before_commit()\n",
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
        "ygg/model/lifecycle.py",
        'guard=(Is(_STATE, State.PROCESSING), Not(Is(Old("epoch"), In("epoch")))),',
        "guard=(Is(_STATE, State.PROCESSING),),",
        ("tests/contract/test_queue.py::test_own_running_tasks_are_never_recovered",),
    ),
    Mutant(
        "heads come in no order",
        "ygg/stores/sqlite/statements.py",
        'priority = ? ORDER BY rank, seq LIMIT ?"',
        'priority = ? ORDER BY rank, seq DESC LIMIT ?"',
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "heads come without regard to their rank",
        "ygg/stores/sqlite/statements.py",
        'priority = ? ORDER BY rank, seq LIMIT ?"',
        'priority = ? ORDER BY seq LIMIT ?"',
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "an old database is copied once more after its first upgrade",
        "ygg/stores/sqlite/opening.py",
        '        db.execute("BEGIN IMMEDIATE")\n        try:\n            db.execute(sql)',
        '        _backup(db, path, version)\n        db.execute("BEGIN IMMEDIATE")\n        try:\n            db.execute(sql)',
        (
            "tests/stores/test_migration.py::test_the_copy_made_before_is_whole_and_as_old_as_it_was",
        ),
    ),
    Mutant(
        "a claim ignores the version",
        "ygg/model/lifecycle.py",
        '        Is(Old("version"), In("version")),\n',
        "",
        (
            "tests/contract/test_queue.py::test_a_claim_is_refused_for_gone_taken_changed_or_overdue_rows",
        ),
    ),
    Mutant(
        "a claim takes what is overdue",
        "ygg/model/lifecycle.py",
        '        Not(AtMost(Old("deadline_ms"), _NOW)),\n    ),\n    cases=(\n        Case(\n            "chosen"',
        '    ),\n    cases=(\n        Case(\n            "chosen"',
        (
            "tests/contract/test_queue.py::test_a_claim_is_refused_for_gone_taken_changed_or_overdue_rows",
        ),
    ),
    Mutant(
        "a counter is forgotten",
        "ygg/stores/sqlite/ledger.py",
        "        self._count(place, batch, -1, -single)\n",
        "        self._count(place, batch, 0, -single)\n",
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "counters of a failed operation stay",
        "ygg/stores/sqlite/ledger.py",
        "for known in (self._log, self._counts, self._batches, self._ids, self._lanes):",
        "for known in (self._log, self._ids, self._lanes):",
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "tasks become due after their time",
        "ygg/model/lifecycle.py",
        'AtMost(Old("due_ms"), In("until")))',
        'AtMost(Plus(Old("due_ms"), 5), In("until")))',
        ("tests/contract/test_queue.py",),
    ),
    Mutant(
        "a wish to cancel is overridden by a retry",
        "ygg/model/lifecycle.py",
        '(Is(Old("cancel_requested"), True),),\n            _over(State.CANCELLED, ReasonCode.CANCELLED) | _COUNTED',
        '(Is(Old("cancel_requested"), None),),\n            _over(State.CANCELLED, ReasonCode.CANCELLED) | _COUNTED',
        (
            "tests/contract/test_queue.py::test_a_running_task_notes_the_wish_and_its_end_becomes_cancelled",
        ),
    ),
    Mutant(
        "crashes have no limit",
        "ygg/model/lifecycle.py",
        'AtMost(In("max_crashes"), _CRASHED)',
        'AtMost(Plus(In("max_crashes"), 9), _CRASHED)',
        ("tests/contract/test_queue.py::test_the_fifth_crash_blocks_a_task_as_poison",),
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
        "ygg/model/lifecycle.py",
        "    if (before, after) not in TRANSITIONS:",
        "    if False:",
        (
            "tests/contract/test_queue.py::test_a_change_outside_the_table_is_a_store_error_and_changes_nothing",
        ),
    ),
    Mutant(
        "a failed group is not tried one by one",
        "ygg/stores/sqlite/writer.py",
        "            alone = self._transaction([job])",
        "            alone = error",
        ("tests/stores/test_faults.py::test_a_group_whose_commit_fails_is_tried_one_by_one",),
    ),
    Mutant(
        "a store reads whether a cancel came, decides, and writes without looking again",
        "ygg/stores/sqlite/verbs.py",
        "        for row in fetch(self._db, statements.END, given):",
        "        end_sql = statements.END.replace('cancel_requested IS 1', '0')\n        for row in fetch(self._db, end_sql, given):",
        (
            "tests/contract/test_queue.py::test_a_running_task_notes_the_wish_and_its_end_becomes_cancelled",
        ),
    ),
    Mutant(
        "a set verb stops after its first operation",
        "ygg/stores/sqlite/__init__.py",
        "            if part.total < SET_ROWS:",
        "            if True:",
        (
            "tests/contract/test_queue.py::test_all_that_a_dead_owner_had_is_given_back_however_much_it_was",
        ),
    ),
    Mutant(
        "recovery is one operation over everything",
        "ygg/stores/sqlite/verbs.py",
        "self._seqs(statements.ORPHANS, self.epoch, life.SET_ROWS)",
        "self._seqs(statements.ORPHANS, self.epoch, -1)",
        ("tests/stores/test_sets.py",),
    ),
    Mutant(
        "SQL takes the last case that fits",
        "ygg/stores/sqlite/compiling.py",
        "    for condition, value in arms:",
        "    for condition, value in [*arms[-2::-1], *arms[-1:]]:",
        (
            "tests/stores/test_lifecycle.py::test_reading_and_sql_make_the_same_of_a_row_in_any_state",
        ),
    ),
    Mutant(
        "SQL holds a comparison with nothing for true",
        "ygg/stores/sqlite/compiling.py",
        "<= {_value(bound)}, 0)",
        "<= {_value(bound)}, 1)",
        ("tests/stores/test_lifecycle.py",),
    ),
    Mutant(
        "an upgraded lane does not know what it is without its marks",
        "ygg/stores/sqlite/0003.sql",
        "UPDATE lanes SET unmarked = other.id",
        "UPDATE lanes SET unmarked = NULL",
        ("tests/stores/test_migration.py::test_the_tasks_of_an_old_database_go_on",),
    ),
    Mutant(
        "an end of another run is taken",
        "ygg/model/lifecycle.py",
        '        Is(Old("attempt"), In("attempt")),\n        Is(Old("epoch"), In("epoch")),\n',
        '        Is(Old("attempt"), In("attempt")),\n',
        ("tests/contract/test_queue.py::test_an_end_of_a_run_that_is_dead_is_stale",),
    ),
    Mutant(
        "what is held of a dead owner counts as one's own",
        "ygg/stores/sqlite/statements.py",
        "WHERE state = 'processing' AND epoch = ?",
        "WHERE state = 'processing' AND epoch <= ?",
        (
            "tests/contract/test_queue.py::test_held_are_the_running_tasks_of_this_owner_as_the_last_write_left_them",
        ),
    ),
    Mutant(
        "a group of claims holds what was posted beside them",
        "ygg/stores/sqlite/writer.py",
        "    parts = [[job for job in group if job.hasty], [job for job in group if not job.hasty]]",
        "    parts = [sorted(group, key=lambda job: not job.hasty)]",
        (
            "tests/stores/test_haste.py::test_a_claim_is_answered_while_what_waited_beside_it_is_still_written",
        ),
    ),
    Mutant(
        "ends are hasty too",
        "ygg/stores/sqlite/__init__.py",
        "return self._post(lambda: self._verbs.finish(ends, now_ms))",
        "return self._post(lambda: self._verbs.finish(ends, now_ms), hasty=True)",
        ("tests/stores/test_haste.py",),
    ),
    Mutant(
        "claims wait behind what was posted before them",
        "ygg/stores/sqlite/writer.py",
        "    return [part for part in parts if part]",
        "    return [part for part in parts[::-1] if part]",
        (
            "tests/stores/test_haste.py::test_a_claim_is_answered_while_what_waited_beside_it_is_still_written",
        ),
    ),
    Mutant(
        "a claim is durable only when something else is written",
        "ygg/stores/sqlite/syncing.py",
        "                if self._since is not None:",
        "                if self._jobs and self._since is not None:",
        (
            "tests/stores/test_powercut.py::test_a_task_that_takes_the_machine_down_again_and_again_is_blocked",
        ),
    ),
    Mutant(
        "a claim takes half a second to be durable",
        "ygg/stores/sqlite/syncing.py",
        "HASTE_S = 0.1 ",
        "HASTE_S = 0.5 ",
        (
            "tests/stores/test_powercut.py::test_a_claim_can_be_lost_for_200_ms_and_not_after_and_is_counted_then",
        ),
    ),
    Mutant(
        "after a sync that failed the next one counts",
        "ygg/stores/sqlite/syncing.py",
        "        self._failed(error)\n",
        "        self._since = None\n        self._answer()\n        return self.run()\n",
        (
            "tests/stores/test_powercut.py::test_what_was_written_and_not_synced_is_told_as_unknown_and_nothing_follows_it",
        ),
    ),
    Mutant(
        "nobody is told of a sync that failed",
        "ygg/stores/sqlite/syncing.py",
        "                job.error = job.error or unknown(self._path, error)\n",
        "                job.error = job.error\n",
        ("tests/stores/test_syncing.py",),
    ),
    Mutant(
        "the log of a dead owner is not written anew",
        "ygg/stores/sqlite/opening.py",
        "        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)\n",
        "        return\n",
        (
            "tests/stores/test_syncing.py::test_what_a_killed_owner_left_is_durable_before_it_is_told",
        ),
    ),
    Mutant(
        "who has written nothing does not wait for what he was told of",
        "ygg/stores/sqlite/writer.py",
        "        waiting = [job for job in part if job.promises]\n",
        "        waiting = [job for job in part if job.promises and self._written]\n"
        "        answer([] if waiting else part)\n",
        ("tests/stores/test_syncing.py",),
    ),
    Mutant(
        "an end can be read before it is durable",
        "ygg/stores/sqlite/__init__.py",
        "        if not self._writer.settled:\n",
        "        if False:\n",
        ("tests/stores/test_syncing.py",),
    ),
    Mutant(
        "the log is not synced",
        "ygg/stores/sqlite/syncing.py",
        "        os.fdatasync(self._fd)\n",
        "",
        ("tests/stores/test_syncing.py",),
    ),
    Mutant(
        "the writer waits for the sync",
        "ygg/stores/sqlite/writer.py",
        "        self._syncer.take(self._begun, waiting, written=self._written)\n",
        "        self._syncer.take(self._begun, waiting, written=self._written)\n        self._syncer._sync()\n",
        ("tests/stores/test_syncing.py",),
    ),
    Mutant(
        "tasks start only when their submit is durable",
        "ygg/stores/sqlite/__init__.py",
        "            return await self._post(submit, committed=stored)\n",
        "            answers = await self._post(submit)\n"
        "            stored(answers) if stored else None\n"
        "            return answers\n",
        (
            "tests/stores/test_syncing.py::test_tasks_can_be_claimed_and_end_before_their_submit_is_durable",
        ),
    ),
    Mutant(
        "who fails takes his whole group down",
        "ygg/stores/sqlite/writer.py",
        "            alone = self._transaction([job])\n",
        "            alone = error\n",
        ("tests/stores/test_faults.py",),
    ),
    Mutant(
        "an error of COMMIT says that nothing happened",
        "ygg/stores/sqlite/writer.py",
        "            raise unknown(self._path, error) from error\n",
        "            raise StoreError(str(error)) from error\n",
        (
            "tests/stores/test_powercut.py::test_what_could_not_be_written_for_sure_is_told_as_unknown",
        ),
    ),
    Mutant(
        "the database is opened and closed beside SQLite",
        "ygg/stores/sqlite/opening.py",
        "    return path.stat().st_size < 50_000_000",
        "    return len(path.read_bytes()) < 50_000_000",
        ("tests/stores/test_locking.py",),
    ),
    Mutant(
        "the lock is named by the path",
        "ygg/locking.py",
        "FOLDER / identity.name",
        "FOLDER / path.name",
        ("tests/stores/test_locking.py",),
    ),
    Mutant(
        "a link has a lock of its own",
        "ygg/locking.py",
        "    real = Path(os.path.realpath(path))\n    me =",
        "    real = path\n    me =",
        ("tests/stores/test_locking.py",),
    ),
    Mutant(
        "a database may have two names",
        "ygg/locking.py",
        "    if found.st_nlink > 1:",
        "    if False:",
        ("tests/stores/test_locking.py",),
    ),
    Mutant(
        "nobody waits for a lock",
        "ygg/locking.py",
        "time.monotonic() >= give_up or",
        "True or",
        ("tests/stores/test_locking.py",),
    ),
    Mutant(
        "the database is not looked at again once its lock is held",
        "ygg/locking.py",
        "            if _identity(real) == identity:",
        "            if True:",
        (
            "tests/stores/test_locking.py::test_a_database_that_was_exchanged_while_it_was_waited_for_is_the_one_that_is_owned",
        ),
    ),
]
