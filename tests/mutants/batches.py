"""Planted bugs in batches."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

FACE = "tests/surface/test_batches.py"
STORED = "tests/contract/test_batches.py"
VERBS, TABLE = "ygg/stores/sqlite/verbs.py", "ygg/stores/sqlite/batches.py"
LIFE = "ygg/model/lifecycle.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "batches: a refused submit leaves its batch",
        VERBS,
        "            raise Refused(answers)\n        if batch is not None:\n            batches.add(self._db, batch)\n",
        "            if batch is not None:\n                return answers\n            raise Refused(answers)\n        if batch is not None:\n            batches.add(self._db, batch)\n",
        (STORED + "::test_one_bad_task_leaves_neither_tasks_nor_batch",),
    ),
    Mutant(
        "batches: a deleted task is forgotten",
        VERBS,
        "        batches.deleted(self._db, of_batches)\n",
        "",
        (STORED + "::test_tasks_that_were_deleted_still_count_and_the_last_takes_the_batch_along",),
    ),
    Mutant(
        "batches: one stays when its last task is deleted",
        TABLE,
        "{' + '.join(_DELETED)} >= total",
        "{' + '.join(_DELETED)} > total",
        (STORED + "::test_tasks_that_were_deleted_still_count_and_the_last_takes_the_batch_along",),
    ),
    Mutant(
        "batches: their tasks take room from others",
        "ygg/stores/sqlite/ledger.py",
        "        elif place[2] in _WAITING:",
        "        if place[2] in _WAITING:",
        (STORED + "::test_tasks_of_a_batch_take_no_room_from_others",),
    ),
    Mutant(
        "batches: their tasks take room from others after a restart",
        "ygg/stores/sqlite/ledger.py",
        "SELECT -n, state FROM batch_counters",
        "SELECT 0, state FROM batch_counters",
        (STORED + "::test_that_holds_after_a_restart",),
    ),
    Mutant(
        "batches: the tasks of a sequence start all at once",
        LIFE,
        '        Case("when its turn comes", (Is(In("turn"), True),), _OPEN | _TURN),\n',
        "",
        (STORED + "::test_the_next_task_is_queued_once_the_one_before_has_ended",),
    ),
    Mutant(
        "batches: the next task does not wait for the one before",
        TABLE,
        " WHERE {_OPEN} AND (reason IS 'batch_turn') = 0)\"\n)",
        " WHERE {_OPEN} AND (reason IS 'batch_turn') = 2)\"\n)",
        (STORED + "::test_what_is_tried_again_or_needs_a_person_keeps_the_turn",),
    ),
    Mutant(
        "batches: two take their turn at once",
        VERBS,
        "most = limit - len(stopped) if stops else 1",
        "most = limit - len(stopped) if stops else 2",
        (STORED + "::test_the_next_task_is_queued_once_the_one_before_has_ended",),
    ),
    Mutant(
        "batches: a failure stops nothing",
        TABLE,
        "AND state IN ('failed', 'expired') AND n > 0)), 0)",
        "AND state IN ('failed', 'expired') AND n > 9)), 0)",
        (STORED + "::test_a_failure_stops_the_rest_or_does_not",),
    ),
    Mutant(
        "batches: a failure stops what is to go on",
        TABLE,
        "coalesce(on_failure = 'stop' AND",
        "coalesce(on_failure IS NOT NULL AND",
        (STORED + "::test_a_failure_stops_the_rest_or_does_not",),
    ),
    Mutant(
        "batches: the rest of a long sequence waits for the next poll",
        VERBS,
        "more = [now_ms] if len(stopped) >= limit else []",
        "more: list[int] = []",
        (STORED + "::test_the_rest_of_a_long_sequence_is_stopped_in_parts",),
    ),
    Mutant(
        "batches: a sequence that stopped never goes on",
        VERBS,
        "            batches.set_open(self._db, batch, open_=True)\n",
        "            pass\n",
        (STORED + "::test_a_sequence_that_stopped_goes_on_after_a_retry",),
    ),
    Mutant(
        "batches: what was stopped starts all at once when it is tried again",
        LIFE,
        '            "when its turn comes again",\n            (Is(_STATE, State.CANCELLED), ',
        '            "when its turn comes again",\n            (Is(_STATE, State.QUEUED), ',
        (STORED + "::test_a_sequence_that_stopped_goes_on_after_a_retry",),
    ),
    Mutant(
        "batches: who waits for a turn is told as due in the year 9999",
        "ygg/stores/sqlite/statements.py",
        "WHERE state = 'scheduled' AND due_ms < {NEVER_MS}",
        "WHERE state = 'scheduled' AND due_ms <= {NEVER_MS}",
        (STORED + "::test_the_next_task_is_queued_once_the_one_before_has_ended",),
    ),
    Mutant(
        "batches: the next task waits for the poll",
        "ygg/core/placement/lanes.py",
        "    learn_due(board, now.wall_ms)\n\n\ndef promoted",
        "\n\ndef promoted",
        (FACE + "::test_the_next_one_starts_when_the_one_before_has_ended_not_at_the_next_poll",),
    ),
    Mutant(
        "batches: whoever knows an id sees it",
        "ygg/api/callers.py",
        "    if caller.owner not in (None, view.batch.caller):",
        "    if False:",
        (FACE + "::test_a_caller_sees_its_own_batches_alone",),
    ),
    Mutant(
        "batches: everybody's are listed",
        "ygg/api/batches.py",
        "archive.batches(caller.owner, batches_of(query))",
        "archive.batches(None, batches_of(query))",
        (FACE + "::test_a_caller_sees_its_own_batches_alone",),
    ),
    Mutant(
        "batches: a rate counts each as one task",
        "ygg/api/batches.py",
        "        caller.spend(batch.total)\n",
        "        caller.spend(1)\n",
        (FACE + "::test_a_rate_and_a_best_priority_hold_for_batches",),
    ),
    Mutant(
        "batches: the best priority is not looked at",
        "ygg/api/batches.py",
        "            caller.check_priority(task.priority)\n",
        "",
        (FACE + "::test_a_rate_and_a_best_priority_hold_for_batches",),
    ),
    Mutant(
        "batches: there is always room",
        "ygg/api/batches.py",
        "        if waiting + tasks > most:",
        "        if False:",
        (FACE + "::test_a_batch_takes_no_room_from_single_tasks_and_has_a_room_of_its_own",),
    ),
    Mutant(
        "batches: the same key makes a second one",
        "ygg/api/batches.py",
        "        if known is not None:\n            return known",
        "        if False:\n            return known",
        (FACE + "::test_the_same_key_is_the_same_batch_and_another_body_a_conflict",),
    ),
    Mutant(
        "batches: one that is nearly done is told as done",
        "ygg/api/bodies.py",
        "    percent = min(99, round(100 * view.ended / total)) if view.ended < total else 100",
        "    percent = round(100 * (view.ended + 1) / total)",
        (FACE + "::test_the_status_is_the_missions_and_adds_up",),
    ),
    Mutant(
        "batches: a cancelled sequence starts its next task",
        "ygg/api/batches.py",
        "        await self._tasks.stop(ids[::-1])\n",
        "        for id_ in ids:\n            await self._tasks.stop([id_])\n            await asyncio.sleep(1)\n",
        (FACE + "::test_a_cancelled_sequence_starts_nothing_more_and_a_retry_keeps_its_order",),
    ),
    Mutant(
        "batches: a sequence that is tried again starts all at once",
        "ygg/api/batches.py",
        "await self._control.retry(ids[1:], turn=True)",
        "await self._control.retry(ids[1:])",
        (FACE + "::test_a_cancelled_sequence_starts_nothing_more_and_a_retry_keeps_its_order",),
    ),
    Mutant(
        "batches: the first task of a sequence waits too",
        "ygg/intake/batches.py",
        "turn=sequence and not first)",
        "turn=sequence)",
        (FACE + "::test_the_first_of_a_sequence_waits_for_nothing",),
    ),
]
