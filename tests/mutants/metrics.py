"""Planted bugs in what Prometheus gets, and in who may ask for it."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

TALLY, GAUGES, LEGACY = "ygg/telling/tally.py", "ygg/metrics/gauges.py", "ygg/metrics/legacy.py"
FAMILY, PAGE, COUNTED = "ygg/metrics/family.py", "ygg/metrics/page.py", "ygg/metrics/counted.py"
OWN, METRICS = "tests/telling/test_tally.py", "tests/surface/test_metrics.py"
MOMENT = "tests/surface/test_one_moment.py"
ANNOUNCED = (
    f"{METRICS}::test_every_family_has_its_name_and_type_and_is_announced_while_nothing_is_known"
)
ONCE = f"{METRICS}::test_what_a_task_goes_through_is_counted_once"
ADDRESS = f"{METRICS}::test_an_address_of_its_own_serves_metrics_and_nothing_else"

MUTANTS = [
    # --- what is counted ---------------------------------------------------------------------------
    Mutant(
        "metrics: a value at a bound counts above it",
        TALLY,
        "bisect_left(self.bounds, value)",
        "sum(b <= value for b in self.bounds)",
        (f"{OWN}::test_a_value_counts_at_the_first_bound_that_it_does_not_exceed", ONCE),
    ),
    Mutant(
        "metrics: an attempt whose task waits again is an end",
        TALLY,
        "            if task.state in ENDS:\n",
        "            if True:\n",
        (f"{OWN}::test_a_task_that_waits_again_is_retried_and_has_not_ended",),
    ),
    Mutant(
        "metrics: a blocked task has not ended",
        TALLY,
        "ENDS = FINAL | {State.BLOCKED}",
        "ENDS = FINAL",
        (f"{OWN}::test_a_task_that_needs_a_person_counts_as_blocked",),
    ),
    Mutant(
        "metrics: a call of ygg's own is an attempt of a task",
        TALLY,
        "for outcome in () if call.canary else event.outcomes.values():",
        "for outcome in event.outcomes.values():",
        (f"{OWN}::test_a_call_of_ygg_s_own_is_no_attempt_of_a_task",),
    ),
    Mutant(
        "metrics: events are heard after the step",
        "ygg/running/loop.py",
        "        self.tally.hear(event, self.board, now)\n        effects = step(self.board, event, now)\n",
        "        effects = step(self.board, event, now)\n        self.tally.hear(event, self.board, now)\n",
        (ONCE,),
    ),
    Mutant(
        "metrics: a second cancel counts again",
        "ygg/running/dispatcher.py",
        "over = task if task.finished_ms == at_ms else None",
        "over = task",
        (ONCE,),
    ),
    Mutant(
        "metrics: what expires in the queue is not counted",
        TALLY,
        "                self._gone(State.EXPIRED, len(event.expired))\n",
        "",
        (
            f"{OWN}::test_what_leaves_the_queue_counts_where_it_has_ended",
            f"{METRICS}::test_what_expires_in_the_queue_has_ended_and_names_no_type",
        ),
    ),
    Mutant(
        "metrics: a submit that was seen before counts",
        TALLY,
        "            if answer.existing:\n                continue\n",
        "",
        (f"{OWN}::test_a_submit_counts_what_is_new_and_what_was_had_already",),
    ),
    Mutant(
        "metrics: every submit was a request to the cache",
        TALLY,
        "elif new.sharing is not None and new.sharing.fresh_s is not None:",
        "else:",
        (f"{OWN}::test_a_submit_counts_what_is_new_and_what_was_had_already",),
    ),
    # --- names -------------------------------------------------------------------------------------
    Mutant(
        "metrics: a label names any type that a client makes up",
        TALLY,
        "kind = task.lane.type if task.lane.type in board.types else OTHER",
        "kind = task.lane.type",
        (
            f"{OWN}::test_a_type_or_model_that_hosts_yaml_does_not_have_is_another",
            f"{METRICS}::test_names_that_clients_make_up_become_other",
        ),
    ),
    Mutant(
        "metrics: a label names any model",
        TALLY,
        "return model if not model or model in self.models else OTHER",
        "return model",
        (f"{OWN}::test_a_type_or_model_that_hosts_yaml_does_not_have_is_another",),
    ),
    Mutant(
        "metrics: servers add models without end",
        TALLY,
        "elif self._told < TOLD and _served(board, host, model):",
        "elif _served(board, host, model):",
        (
            f"{OWN}::test_models_that_servers_add_are_named_up_to_a_bound",
            f"{METRICS}::test_models_that_servers_make_up_are_named_up_to_a_bound",
        ),
    ),
    # --- what is drawn -----------------------------------------------------------------------------
    Mutant(
        "metrics: what is not known is zero",
        FAMILY,
        "        if number is not None:\n            family.add_metric(values, number)\n",
        "        family.add_metric(values, number or 0)\n",
        (
            ANNOUNCED,
            f"{METRICS}::test_without_a_dispatcher_the_same_families_tell_what_the_store_says",
        ),
    ),
    Mutant(
        "metrics: cards are announced only where there are some",
        GAUGES,
        "    for name, told, value in _CARDS:\n",
        "    for name, told, value in _CARDS if cards else ():\n",
        (ANNOUNCED,),
    ),
    Mutant(
        "metrics: buckets are not cumulative",
        FAMILY,
        "zip(bounds, accumulate(one.counts), strict=True)",
        "zip(bounds, one.counts, strict=True)",
        (ONCE,),
    ),
    Mutant(
        "metrics: what is drawn in a thread still changes",
        TALLY,
        "waits=self.waits.copied(),",
        "waits=self.waits,",
        (f"{METRICS}::test_what_is_drawn_in_a_thread_does_not_change_meanwhile",),
    ),
    Mutant(
        "metrics: memory is told in units of a thousand",
        GAUGES,
        "MIB = 1024 * 1024",
        "MIB = 1000 * 1000",
        (f"{METRICS}::test_readings_that_come_and_fail_are_told_by_host_and_source",),
    ),
    Mutant(
        "metrics: room that is kept for root is free",
        "ygg/disks.py",
        "Room(disk.f_bavail * disk.f_frsize",
        "Room(disk.f_bfree * disk.f_frsize",
        ("tests/test_disks.py::test_the_room_of_a_disk_is_what_may_be_written_of_its_size",),
    ),
    Mutant(
        "metrics: the disk of the database is not looked at",
        "ygg/api/scraped.py",
        "room = None if store is None else disks.room(Path(store))",
        "room = None",
        ("tests/system/test_scraped.py::test_what_a_daemon_did_is_scraped_without_a_token",),
    ),
    Mutant(
        "metrics: every lowered limit is throttled by heat",
        GAUGES,
        "h.limit_cause == why",
        'bool(h.limit_cause) and why == "hot"',
        (
            f"{MOMENT}::test_every_figure_of_one_moment_agrees_over_a_simulated_day",
            f"{METRICS}::test_a_host_without_readings_is_throttled_for_that_reason",
        ),
    ),
    Mutant(
        "metrics: a limit whose slots come back is held by what it was",
        "ygg/core/hosts/lowered.py",
        "return RETURNING if most.slots > host.limit or most.cause is Cause.NONE else most.cause.value",
        "return most.cause.value",
        ("tests/core/hosts/test_lowered.py::test_a_word_says_what_holds_the_limit",),
    ),
    Mutant(
        "metrics: readings of hosts that are gone stay",
        COUNTED,
        "for labels, ms in tally.read_ms.items() if labels[0] in known",
        "for labels, ms in tally.read_ms.items()",
        (f"{METRICS}::test_the_readings_of_a_host_that_is_gone_are_not_told",),
    ),
    Mutant(
        "metrics: the mission's names stay where they are not wanted",
        PAGE,
        "    if of.config.metrics.legacy:\n",
        "    if True:\n",
        (f"{METRICS}::test_the_mission_s_names_can_be_left_out",),
    ),
    Mutant(
        "metrics: percentiles are of all that is remembered",
        "ygg/telling/rates.py",
        "ends = (e for e in recent if e.state is State.COMPLETED and e.at_ms > at_ms - LATELY_MS)",
        "ends = (e for e in recent if e.state is State.COMPLETED)",
        (
            "tests/telling/test_rates.py::test_percentiles_are_of_what_completed_in_the_last_quarter_of_an_hour",
        ),
    ),
    Mutant(
        "metrics: the mission's depth counts what waits for its time",
        LEGACY,
        "counts.priority(p, State.QUEUED) for p in Priority",
        "counts.priority(p, State.QUEUED, State.SCHEDULED) for p in Priority",
        (f"{MOMENT}::test_every_figure_of_one_moment_agrees_over_a_simulated_day",),
    ),
    Mutant(
        "metrics: OpenMetrics is for nobody",
        PAGE,
        "choose_encoder(_known(accept))",
        'choose_encoder("")',
        (f"{METRICS}::test_who_accepts_openmetrics_gets_it",),
    ),
    Mutant(
        "metrics: any version is written that somebody asks for",
        PAGE,
        "choose_encoder(_known(accept))",
        "choose_encoder(accept)",
        (f"{METRICS}::test_a_version_that_there_is_not_is_none_that_is_written",),
    ),
    Mutant(
        "metrics: figures are of when somebody last looked",
        "ygg/api/scraped.py",
        "view = await view_of(self._control)",
        "view = self._control.snapshot() or await view_of(self._control)",
        (f"{MOMENT}::test_what_was_just_submitted_is_counted_everywhere",),
    ),
    Mutant(
        "metrics: the handlers load the library",
        "ygg/metrics/__init__.py",
        "from collections.abc import Mapping\n",
        "import prometheus_client  # noqa: F401\nfrom collections.abc import Mapping\n",
        (f"{METRICS}::test_nobody_loads_the_library_before_the_first_scrape",),
    ),
    Mutant(
        "metrics: a loop at rest is not told of",
        "ygg/running/stalls.py",
        "            elif self._waits():\n                self._lag(0.0)\n",
        "            elif self._waits():\n                pass\n",
        ("tests/shell/test_stalls.py::test_how_long_others_waited_is_told_at_each_look",),
    ),
    # --- who may ask -------------------------------------------------------------------------------
    Mutant(
        "metrics: an address of its own serves the whole API without a token",
        "ygg/api/outside.py",
        "build_app(handlers, SCRAPED)",
        "build_app(handlers)",
        (ADDRESS,),
    ),
    Mutant(
        "metrics: an address of its own asks for a token",
        "ygg/api/outside.py",
        "handlers.callers, free=True)",
        "handlers.callers)",
        (ADDRESS,),
    ),
    Mutant(
        "metrics: the API lets anybody read them",
        "ygg/desk.py",
        '"scraped.metrics", ("accept",), off_desk=SCRAPERS)',
        '"scraped.metrics", ("accept",), off_desk=SCRAPERS, scope="free")',
        (f"{METRICS}::test_over_the_api_a_token_that_may_read_lets_in",),
    ),
    Mutant(
        "metrics: an address shares its port with the API",
        "ygg/config/build.py",
        "if address(text).port in taken:",
        "if False:",
        (f"{METRICS}::test_an_address_that_cannot_be_is_refused",),
    ),
    Mutant(
        "metrics: another address is taken over in silence",
        "ygg/reloading.py",
        "if fresh.metrics.listen != old.metrics.listen:",
        "if False:",
        (
            "tests/system/test_scraped.py::test_another_address_takes_a_new_start_and_names_change_with_a_reload",
        ),
    ),
]
