"""Planted bugs in the cache."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

FACE = "tests/surface/test_cache.py"
STORED = "tests/contract/test_cache.py"
ASKED, SUBMITTED = "tests/surface/test_cli_submit.py", "ygg/cli/submit.py"
SQL, SHARED = "ygg/stores/sqlite/caching.py", "ygg/intake/sharing.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "cache: an answer is served for ever",
        SQL,
        "    since_ms = now_ms - round(shares.fresh_s * 1000)\n",
        "    since_ms = 0\n",
        (STORED + "::test_and_not_when_it_is_older_or_of_the_future",),
    ),
    Mutant(
        "cache: without a daemon a run that is shared is said to be stored",
        SUBMITTED,
        '    if answer.get("coalesced"):',
        '    if answer.get("coalesced") and found.online:',
        (ASKED + "::test_an_identical_task_that_waits_is_shared_where_it_is_asked_for",),
    ),
    Mutant(
        "cache: what was read goes before its time to be lent is over",
        "ygg/model/lifecycle.py",
        'Most(Plus(_NOW, Ms(In("read_keep_s"))), _LENT_UNTIL)',
        'Plus(_NOW, Ms(In("read_keep_s")))',
        (STORED + "::test_an_answer_that_was_read_is_lent_to_the_end_of_its_time",),
    ),
    Mutant(
        "cache: what is lent outlives a retention of its own",
        "ygg/model/lifecycle.py",
        'Old("expires_ms"), Most(Plus(',
        "_LENT_UNTIL, Most(Plus(",
        (STORED + "::test_a_retention_of_its_own_ends_what_is_lent",),
    ),
    Mutant(
        "cache: what is lent goes as soon as it is not, however late it was read",
        "ygg/stores/sqlite/compiling.py",
        'return f"max(coalesce(',
        'return f"min(coalesce(',
        (STORED + "::test_what_was_read_late_stays_as_long_as_what_is_read",),
    ),
    Mutant(
        "cache: an answer that was lent is lent on, as new",
        "ygg/stores/sqlite/verbs.py",
        "self._born(replace(task, sharing=None), now_ms, lender)",
        "self._born(task, now_ms, lender)",
        (STORED + "::test_age_counts_from_the_run_however_often_it_was_lent",),
    ),
    Mutant(
        "cache: the oldest answer is lent",
        SQL,
        "ORDER BY finished_ms DESC, tasks.seq DESC",
        "ORDER BY finished_ms, tasks.seq",
        (STORED + "::test_the_newest_answer_is_lent",),
    ),
    Mutant(
        "cache: the answer of a task that takes none is lent",
        SQL,
        "alike = ?1 AND state = 'completed' AND finished_ms > ?2 AND finished_ms <= ?3 AND lends",
        "alike = ?1 AND state = 'completed' AND finished_ms > ?2 AND finished_ms <= ?3",
        (STORED + "::test_the_answer_of_a_task_that_takes_none_is_lent_to_nobody",),
    ),
    Mutant(
        "cache: what is to start later is answered now",
        SQL,
        "shares.fresh_s is None or task.waits:",
        "shares.fresh_s is None:",
        (STORED + "::test_who_waits_for_a_time_or_a_turn_runs",),
    ),
    Mutant(
        "cache: the answer stays with its task",
        "ygg/stores/sqlite/verbs.py",
        "        self._db.execute(caching.COPY, (row[1], lender.seq))\n",
        "",
        (STORED + "::test_an_identical_task_ends_as_it_begins_with_the_whole_answer",),
    ),
    Mutant(
        "cache: what was answered from it is kept for ever",
        "ygg/model/lifecycle.py",
        'queued_ms=None, expires_ms=Plus(_NOW, Ms(Either(In("retention_s"), In("keep_s"))))',
        "queued_ms=None, expires_ms=None",
        (STORED + "::test_it_is_kept_as_long_as_others_and_may_ask_for_less",),
    ),
    Mutant(
        "cache: a task of another caller is joined",
        SQL,
        " AND caller = ? AND NOT",
        " AND ? <> '' AND NOT",
        (STORED + "::test_nobody_joins_a_task_of_another_caller",),
    ),
    Mutant(
        "cache: one that is being cancelled is joined",
        SQL,
        "AND NOT cancel_requested AND",
        "AND",
        (STORED + "::test_nobody_joins_what_has_ended_is_being_cancelled_or_starts_later",),
    ),
    Mutant(
        "cache: one that starts tomorrow is joined",
        SQL,
        "(state <> 'scheduled' OR attempt > 0)",
        "1",
        (STORED + "::test_nobody_joins_what_has_ended_is_being_cancelled_or_starts_later",),
    ),
    Mutant(
        "cache: answers of other settings are counted",
        SQL,
        " AND alike >= ?3 AND alike < ?3 || '~'",
        " AND ?3 <> ''",
        (STORED + "::test_different_answers_are_counted_of_keys_that_begin_so",),
    ),
    Mutant(
        "cache: everybody gets the answers of others",
        SHARED,
        "    caller = None if config.policy.cache_across_callers else lane.caller\n",
        "    caller = None\n",
        (FACE + "::test_no_caller_gets_the_answer_of_another_unless_that_is_allowed",),
    ),
    Mutant(
        "cache: pins and needs decide nothing",
        SHARED,
        "lane.type, lane.host, lane.model, lane.gpu, request]",
        "lane.type, request]",
        (FACE + "::test_what_decides_the_answer_makes_another_request",),
    ),
    Mutant(
        "cache: the order of keys makes another request",
        "ygg/intake/checking.py",
        "json.dumps(doc, sort_keys=True, ",
        "json.dumps(doc, sort_keys=False, ",
        (FACE + "::test_the_order_of_keys_decides_nothing",),
    ),
    Mutant(
        "cache: a type cannot turn it off",
        SHARED,
        "    return wanted and config.type_of(lane.type).cache\n",
        "    return wanted\n",
        (FACE + "::test_it_can_be_off_for_a_type",),
    ),
    Mutant(
        "cache: a request cannot turn it off",
        SHARED,
        "    wanted = unasked if asked.cache is None else asked.cache\n",
        "    wanted = unasked or bool(asked.cache)\n",
        (FACE + "::test_a_request_may_want_a_run_of_its_own_whose_answer_nobody_else_gets",),
    ),
    Mutant(
        "cache: batches are answered from it unasked",
        "ygg/intake/tasks.py",
        'now_ms: int | None = None, cache: bool = False\n) -> NewTask:\n    """The same for POST',
        'now_ms: int | None = None, cache: bool = True\n) -> NewTask:\n    """The same for POST',
        (FACE + "::test_tasks_and_batches_are_answered_from_it_where_they_say_so",),
    ),
    Mutant(
        "cache: settings that have changed get old answers",
        SHARED,
        '    return f"{config.fingerprint}:"\n',
        '    return "same:"\n',
        (FACE + "::test_other_settings_begin_with_an_empty_cache",),
    ),
    Mutant(
        "cache: tasks of a batch are joined to others",
        "ygg/intake/batches.py",
        "    if task.sharing is not None and task.sharing.join:",
        "    if False:",
        (FACE + "::test_a_document_that_shares_and_does_not_is_refused",),
    ),
    Mutant(
        "cache: what never ran counts as an end after a restart",
        "ygg/telling/rates.py",
        "if t.finished_ms is not None and not t.cached]",
        "if t.finished_ms is not None]",
        (FACE + "::test_a_hit_distorts_no_figure_but_is_counted_as_a_task",),
    ),
    Mutant(
        "cache: the command line asks for no lent answer",
        SUBMITTED,
        '"cache": cache or None',
        '"cache": None',
        (ASKED + "::test_an_identical_answer_will_do_where_it_is_asked_for",),
    ),
    Mutant(
        "cache: the command line shares no run",
        SUBMITTED,
        '"coalesce": coalesce or None',
        '"coalesce": None',
        (ASKED + "::test_an_identical_task_that_waits_is_shared_where_it_is_asked_for",),
    ),
    Mutant(
        "cache: a shared run is told as a key that was seen before",
        SUBMITTED,
        'if answer.get("coalesced"):',
        "if False:",
        (ASKED + "::test_an_identical_task_that_waits_is_shared_where_it_is_asked_for",),
    ),
]
