"""Planted bugs in what is told of hosts and of the queue."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MOMENT, PACING = "tests/surface/test_one_moment.py", "tests/telling/test_pacing.py"
LOWERED = "tests/core/hosts/test_lowered.py"
ORDER = "tests/core/placement/test_order.py"
SEEN = "tests/telling/test_snapshotting.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "what is held back from vLLM waits on when the other host goes down",
        "ygg/core/placement/dispatching.py",
        "if s.reach.yields)",
        "if False)",
        (f"{ORDER}::test_vllm_gets_a_waiting_task_as_soon_as_the_other_host_cannot_have_it",),
    ),
    Mutant(
        "a route that comes back to a host ends the dispatcher",
        "ygg/core/placement/order.py",
        '    "host": lambda _, choice: f"its route names {choice.host} earlier",\n',
        "",
        (f"{ORDER}::test_a_route_that_comes_back_to_a_host_says_so",),
    ),
    Mutant(
        "what is the matter with a host is cut by the terminal",
        "ygg/cli/output.py",
        '    for line in layout.sentence(clean(text), _columns(sys.stderr), ""):',
        '    for line in layout.sentence(clean(text), 0, ""):',
        ("tests/surface/test_cli_hosts.py",),
    ),
    Mutant(
        "a host with servers of both kinds has one place in a route",
        "ygg/core/placement/order.py",
        "return candidate.host, candidate[:2] in self.second",
        "return candidate.host, False",
        (f"{ORDER}::test_of_one_kind_the_hosts_of_a_route_keep_their_order",),
    ),
    Mutant(
        "counts of some time ago are told as new while others are read",
        "ygg/running/dispatcher.py",
        "        failed = None\n        try:",
        "        failed = self._uncounted = None\n        try:",
        (f"{MOMENT}::test_counts_of_some_time_ago_are_said_to_be_so_everywhere",),
    ),
    Mutant(
        "a share of the history has reached what it has not",
        "ygg/plain.py",
        "    return floor(10 * percentage) / 10",
        "    return round(10 * percentage) / 10",
        ("tests/test_plain_words.py::test_nor_to_a_tenth",),
    ),
    Mutant(
        "counts that cannot be read are told as if they were of now",
        "ygg/telling/snapshotting.py",
        "board.store_error or uncounted",
        "board.store_error",
        (f"{MOMENT}::test_counts_of_some_time_ago_are_said_to_be_so_everywhere",),
    ),
    Mutant(
        "a host with one busy server is told as busy",
        "ygg/telling/snapshotting.py",
        "None if None in pauses else min(p for p in pauses if p is not None)",
        "min((p for p in pauses if p is not None), default=None)",
        (f"{SEEN}::test_a_host_is_busy_once_all_its_servers_are_and_until_the_first_is_not",),
    ),
    Mutant(
        "a task whose model finds no room is told to start at once",
        "ygg/telling/pacing.py",
        "if kinds.usable(turn, c)",
        "if gates.up(board, c, turn.now)",
        (f"{PACING}::test_a_model_that_a_game_leaves_no_room_has_no_wait_while_another_has",),
    ),
    Mutant(
        "answers count what was stored some time ago",
        "ygg/running/dispatcher.py",
        "        await self._recount()\n        return self.snapshot()",
        "        return self.snapshot()",
        (f"{MOMENT}::test_what_was_just_submitted_is_counted_everywhere",),
    ),
    Mutant(
        "memory is told to have reached a threshold that it has not",
        "ygg/plain.py",
        "    return floor(100 * used / total)",
        "    return round(100 * used / total)",
        ("tests/test_plain_words.py::test_a_share_is_not_told_to_have_reached_what_it_has_not",),
    ),
    Mutant(
        "the fullness of one card is told as that of all",
        "ygg/cli/read.py",
        "memory_of(cards)",
        "memory_of(cards[:1])",
        (
            "tests/surface/test_cli.py::test_status_tells_what_is_loaded_and_how_full_and_hot_the_cards_are",
        ),
    ),
    Mutant(
        "a temperature of some time ago is told as if it were of now",
        "ygg/core/hosts/lowered.py",
        "    if limits.trust(host, now) is Trust.FRESH:",
        "    if limits.trust(host, now) is not None:",
        (f"{LOWERED}::test_a_reading_that_is_not_fresh_says_how_old_it_is",),
    ),
    Mutant(
        "a hot host does not tell since when it is cool",
        "ygg/core/hosts/lowered.py",
        "    if since is None:\n        return",
        "    if since is not None:\n        return",
        (
            f"{LOWERED}::test_a_hot_host_tells_the_newest_temperature_and_since_when_it_is_cool_enough",
        ),
    ),
    Mutant(
        "until when a hot host rests is not told",
        "ygg/core/hosts/gates.py",
        "return because(code, name, lowered.until_ms(host, now), why",
        "return because(code, name, None, why",
        (f"{LOWERED}::test_a_waiting_task_says_the_same_and_until_when",),
    ),
    Mutant(
        "what a server was too full for is told as the reason of another limit",
        "ygg/core/hosts/limits.py",
        '        host.limit, host.withdrawn = most.slots, ""',
        "        host.limit = most.slots",
        (f"{LOWERED}::test_a_limit_that_readings_lower_forgets_what_a_server_was_too_full_for",),
    ),
    Mutant(
        "a server that is down offers its slots",
        "ygg/core/hosts/gates.py",
        "    if host.drained or server.open or server.busy_until > now.mono:",
        "    if host.drained or server.busy_until > now.mono:",
        (f"{SEEN}::test_a_host_that_takes_no_call_has_no_free_slot",),
    ),
    Mutant(
        "a server that asked for a pause offers its slots",
        "ygg/core/hosts/gates.py",
        "    if host.drained or server.open or server.busy_until > now.mono:",
        "    if host.drained or server.open:",
        (f"{SEEN}::test_a_host_that_takes_no_call_has_no_free_slot",),
    ),
    Mutant(
        "a host offers more slots than its servers",
        "ygg/core/hosts/gates.py",
        "    return min(servers, max(0, limit(host) - host.busy))",
        "    return max(0, limit(host) - host.busy)",
        (f"{SEEN}::test_a_dead_servers_slots_are_not_the_hosts",),
    ),
    Mutant(
        "what was chosen is always the first choice",
        "ygg/core/placement/links.py",
        "decided=order.decided(turn.board, state, choice, ahead),",
        'decided="",',
        (f"{ORDER}::test_only_the_first_of_the_route_is_the_first_choice",),
    ),
    Mutant(
        "what decided is the last part in which two differ",
        "ygg/core/placement/order.py",
        "        return next(name for name, one, other in parts if one != other)",
        "        return [name for name, one, other in parts if one != other][-1]",
        (
            f"{ORDER}::test_only_the_first_of_the_route_is_the_first_choice",
            f"{ORDER}::test_the_best_of_a_route_says_in_what_it_is_better",
            f"{ORDER}::test_of_several_servers_of_a_host_the_one_is_named_and_what_chose_it",
        ),
    ),
    Mutant(
        "idle time is part of the rate",
        "ygg/telling/rates.py",
        "work_ms, until, since = work_ms + until - since, end.at_ms, end.at_ms",
        "work_ms, until, since = work_ms + until - end.at_ms, end.at_ms, end.at_ms",
        ("tests/telling/test_rates.py::test_time_in_which_nothing_ran_is_no_part_of_the_rate",),
    ),
    Mutant(
        "what ended in earlier runs is forgotten",
        "ygg/core/step.py",
        "            board.recent.extendleft(reversed(ends))\n",
        "",
        (
            "tests/cases/test_forecasts.py::test_what_ended_before_a_restart_is_remembered_with_its_rate",
        ),
    ),
    Mutant(
        "scheduled tasks are counted twice",
        "ygg/api/bodies.py",
        "counts.priority(p, State.QUEUED) for",
        "counts.priority(p, State.QUEUED, State.SCHEDULED) for",
        (
            "tests/surface/test_api_async.py::test_the_counts_of_all_states_add_up_and_priorities_are_those_of_the_queued",
        ),
    ),
    Mutant(
        "progress falls when answers get longer",
        "ygg/telling/working.py",
        "max(found, self._reached.get((run.task_id, run.attempt), 0))",
        "found",
        ("tests/telling/test_working.py::test_progress_never_falls_though_answers_get_longer",),
    ),
    Mutant(
        "progress is against the larger limit",
        "ygg/telling/rates.py",
        "100 * tokens // min(known)",
        "100 * tokens // max(known)",
        ("tests/telling/test_rates.py::test_progress_is_of_the_smaller_limit_and_99_at_most",),
    ),
    Mutant(
        "the server of a failed task is not told",
        "ygg/api/tasks.py",
        "backend = told.backend if told else self._backend(task)",
        "backend = told.backend if told else None",
        ("tests/surface/test_api_async.py::test_the_server_of_a_failed_task_is_told",),
    ),
    Mutant(
        "how far a task was when it was cut off is not told",
        "ygg/core/calls.py",
        "            attempt.reached = reached.get(task_id)\n",
        "",
        (
            "tests/core/test_retrying.py::test_what_a_shutdown_cut_off_says_how_far_it_was_and_what_to_type",
        ),
    ),
    Mutant(
        "a start forgets what is blocked",
        "ygg/daemon.py",
        "                await _tell_blocked(scope)\n",
        "",
        ("tests/cases/test_blocked.py",),
    ),
    Mutant(
        "memory is freed at the next reading, not when the last call ends",
        "ygg/core/step.py",
        "    return [*effects, *remedies.relieve(board, host, now)] if host else effects",
        "    return effects",
        (
            "tests/core/hosts/test_readings.py::test_a_model_is_unloaded_when_the_last_call_with_it_ends_though_others_were_just_before",
        ),
    ),
    Mutant(
        "one attempt to free memory keeps all others back",
        "ygg/core/placement/remedies.py",
        "    tried.update(dict.fromkeys(idle, now.mono + UNLOAD_S))",
        "    tried.update(dict.fromkeys([*idle, *used], now.mono + UNLOAD_S))",
        (
            "tests/core/hosts/test_readings.py::test_a_model_is_unloaded_when_the_last_call_with_it_ends_though_others_were_just_before",
        ),
    ),
    Mutant(
        "vllm gets new work at any level",
        "ygg/core/placement/order.py",
        "level >= Level.HIGH and vllm(board, candidate)",
        "level > Level.CRITICAL and vllm(board, candidate)",
        (f"{ORDER}::test_from_high_on_vllm_gets_nothing_that_another_server_can_do",),
    ),
    Mutant(
        "from high on vllm waits for a server that is down",
        "ygg/core/placement/links.py",
        "(c for c in others if gates.up(turn.board, c, turn.now) and could(turn, state, c))",
        "(c for c in others if could(turn, state, c))",
        (f"{ORDER}::test_what_only_vllm_can_do_it_does_at_any_level",),
    ),
    Mutant(
        "status shows old readings as if they were of now",
        "ygg/cli/read.py",
        """ago" if gpu.stale else \"\"""",
        """ago" if not gpu else \"\"""",
        (
            "tests/surface/test_cli.py::test_status_tells_what_is_loaded_and_how_full_and_hot_the_cards_are",
        ),
    ),
    Mutant(
        "a bulk cancel forgets its label",
        "ygg/api/tasks.py",
        "which = Filter(type=wanted.type, label=wanted.label,",
        "which = Filter(type=wanted.type,",
        ("tests/surface/test_client_desks.py::test_all_tasks_that_fit_are_cancelled_at_once",),
    ),
    Mutant(
        "a bulk cancel stops what runs though it must not",
        "ygg/api/tasks.py",
        "        if not wanted.running:",
        "        if wanted.running:",
        ("tests/surface/test_cli.py::test_all_but_what_runs_is_cancelled_when_asked",),
    ),
    Mutant(
        "why of an ended task does not tell its wait",
        "ygg/telling/explain.py",
        'return f"{where}{took}{again}, waited {_span(waited)} for its slot"',
        'return f"{where}{took}{again}, waited for its slot"',
        (
            "tests/telling/test_explain.py::test_an_ended_task_tells_its_error_and_what_its_last_attempt_took",
        ),
    ),
]
