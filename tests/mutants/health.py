"""Planted bugs in what watchers are told, in long polls and in pages."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

FILE, RATES = "ygg/telling/health.py", "ygg/telling/rates.py"
HEALTH, API = "tests/telling/test_health.py", "tests/surface/test_api_health.py"
WAITING = "tests/surface/test_api_waiting.py"
SHARE = f"{HEALTH}::test_failures_degrade_by_their_share_of_what_ended"

MUTANTS = [
    Mutant(
        "health: a bound itself is over it",
        FILE,
        "if depth > DEPTH:",
        "if depth >= DEPTH:",
        (f"{HEALTH}::test_a_deep_queue_degrades",),
    ),
    Mutant(
        "health: cancelled tasks count among those that ended",
        RATES,
        "return end.state is State.COMPLETED or counts_as_failed(end)",
        "return True",
        (f"{HEALTH}::test_what_was_cancelled_or_tried_again_is_neither_good_nor_bad",),
    ),
    Mutant(
        "health: an expired task is none that failed",
        RATES,
        "FAILED = frozenset({State.FAILED, State.EXPIRED, State.BLOCKED})",
        "FAILED = frozenset({State.FAILED})",
        (SHARE, f"{HEALTH}::test_failed_means_what_it_means_to_clients"),
    ),
    Mutant(
        "health: a failure's time counts as that of an answer",
        RATES,
        "[e.took_ms for e in recent if e.state is State.COMPLETED and e.took_ms is not None]",
        "[e.took_ms for e in recent if e.took_ms is not None]",
        (f"{HEALTH}::test_what_failed_late_says_nothing_of_how_long_answers_take",),
    ),
    Mutant(
        "health: a share is judged by more digits than are told",
        RATES,
        "return tenths(100 * sum(ends) / len(ends)) if ends else None",
        "return 100 * sum(ends) / len(ends) if ends else None",
        (f"{HEALTH}::test_a_share_that_is_told_as_the_bound_is_not_over_it",),
    ),
    Mutant(
        "health: a reading that is old counts",
        FILE,
        "hottest(gpu for gpu in host.gpus if not gpu.stale)",
        "hottest(host.gpus)",
        (f"{HEALTH}::test_readings_that_are_off_or_old_are_no_reason",),
    ),
    Mutant(
        "health: a host that was not asked yet is down",
        FILE,
        "return all(state in WORDS for state in states)",
        "return all(state is not HostHealth.UP for state in states)",
        (f"{HEALTH}::test_without_any_host_that_is_up_it_is_unhealthy_even_while_nothing_waits",),
    ),
    Mutant(
        "health: one server that is down makes its host one",
        FILE,
        "[e.health for e in host.endpoints] or [host.health]",
        "[host.health]",
        (f"{HEALTH}::test_a_host_of_which_one_server_is_up_is_up",),
    ),
    Mutant(
        "health: a queue that moves is said to stand",
        FILE,
        "if not view.waiting or view.running or view.counts.state(State.PROCESSING):",
        "if not view.waiting:",
        (f"{HEALTH}::test_a_queue_that_moves_is_well_whatever_some_of_its_tasks_wait_for",),
    ),
    Mutant(
        "health: one task that nobody takes makes the whole queue stand",
        FILE,
        "    if None not in stops:",
        "    if _BAD in stops or _LESS in stops:",
        (f"{HEALTH}::test_a_queue_that_moves_is_well_whatever_some_of_its_tasks_wait_for",),
    ),
    Mutant(
        "health: failures of long ago are forgiven only after as many successes",
        FILE,
        "filter(rates.counts_as_end, reversed(recent)), NEWEST)",
        "filter(rates.counts_as_end, recent), NEWEST)",
        (f"{HEALTH}::test_successes_end_it",),
    ),
    Mutant(
        "health: one failure is repeated failures",
        FILE,
        "if len(newest) >= ENOUGH and ",
        "if ",
        (f"{HEALTH}::test_repeated_failures_take_enough_ends",),
    ),
    Mutant(
        "health: the worst is not told first",
        FILE,
        "key=lambda f: f.verdict is not Verdict.UNHEALTHY",
        "key=lambda f: f.verdict is Verdict.UNHEALTHY",
        (f"{HEALTH}::test_all_that_is_the_matter_is_told_the_worst_first",),
    ),
    Mutant(
        "health: a store that fails is an error of the question",
        "ygg/api/health.py",
        "except StoreError as error:",
        "except ZeroDivisionError as error:",
        (f"{API}::test_where_no_dispatcher_runs_the_store_alone_is_asked",),
    ),
    Mutant(
        "health: whether the process lives depends on its store",
        "ygg/api/health.py",
        '        return {"status": "ok"}',
        '        await self._control.archive.counts()\n        return {"status": "ok"}',
        (f"{API}::test_the_process_lives_whatever_its_store_does_and_takes_no_work_then",),
    ),
    Mutant(
        "health: who drains is ready",
        "ygg/api/health.py",
        "        if view.draining:",
        "        if False:",
        (f"{API}::test_who_drains_lives_and_is_not_ready_and_says_when_to_come_back",),
    ),
    Mutant(
        "health: who cannot store is ready",
        "ygg/api/health.py",
        "        if view.store_error is not None:",
        "        if False:",
        (f"{API}::test_the_process_lives_whatever_its_store_does_and_takes_no_work_then",),
    ),
    Mutant(
        "a poll that may wait does not",
        "ygg/api/tasks.py",
        "return await self._control.wait_end(task.id, wait) if wait else task",
        "return task",
        (f"{WAITING}::test_a_poll_that_waits_is_answered_at_the_end_of_the_task",),
    ),
    Mutant(
        "a wrong wait is told by another name",
        "ygg/api/queries.py",
        'raise InvalidInput(f"{name}: expected seconds, got {given!r:.60}")',
        'raise InvalidInput(f"timeout: expected seconds, got {given!r:.60}")',
        (f"{WAITING}::test_a_wrong_wait_is_refused_by_its_name",),
    ),
    Mutant(
        "a poll takes unknown keys",
        "ygg/api/queries.py",
        "    _only(query, WAIT)\n",
        "",
        (f"{WAITING}::test_unknown_keys_are_refused_and_unknown_tasks_are_not_waited_for",),
    ),
    Mutant(
        "a full last page is followed by an empty one",
        "ygg/api/pages.py",
        "str(shown[-1].seq) if len(found) > len(shown) else None",
        "str(shown[-1].seq) if len(shown) == which.limit else None",
        (f"{WAITING}::test_pages_show_every_task_once_newest_first_and_the_last_has_no_cursor",),
    ),
    Mutant(
        "a page leaves a task out",
        "ygg/api/pages.py",
        "str(shown[-1].seq) if",
        "str(found[-1].seq) if",
        (f"{WAITING}::test_pages_show_every_task_once_newest_first_and_the_last_has_no_cursor",),
    ),
    Mutant(
        "a cursor is no number the store can hold",
        "ygg/api/queries.py",
        "MAX_SEQ = 2**63 - 1",
        "MAX_SEQ = 10**20",
        (f"{WAITING}::test_a_wrong_cursor_is_refused_by_its_name",),
    ),
]
