"""Planted bugs: forecasts."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

PACING, FILE = "tests/telling/test_pacing.py", "ygg/telling/pacing.py"

MUTANTS = [
    Mutant(
        "pacing: earlier runs are forgotten",
        FILE,
        "weight = PAST if host in self._past else 0",
        "weight = 0",
        (f"{PACING}::test_right_after_a_start_the_forecast_comes_from_the_past",),
    ),
    Mutant(
        "pacing: what is measured counts for nothing",
        FILE,
        "return (sum(took) + weight * self._past.get(host, 0.0)) / calls if calls else None",
        "return self._past.get(host)",
        (f"{PACING}::test_it_moves_to_what_is_measured",),
    ),
    Mutant(
        "pacing: all types of a host are one",
        FILE,
        "took = own if len(own) >= ENOUGH else",
        "took = own if False else",
        (f"{PACING}::test_a_type_that_was_measured_often_enough_has_its_own_mean",),
    ),
    Mutant(
        "pacing: minutes count by how many there are",
        FILE,
        "return {host: ms / started[host] for",
        "return {host: ms / len(started) for",
        (f"{PACING}::test_the_past_is_the_time_that_calls_ran_over_how_many_started",),
    ),
    Mutant(
        "pacing: the hosts of a lane work one after another",
        FILE,
        "        rate += 1 / each_ms[name]\n",
        "        rate = 1 / each_ms[name]\n",
        (f"{PACING}::test_hosts_share_what_both_may_do_and_not_what_only_one_may",),
    ),
    Mutant(
        "pacing: a host that is down is waited for",
        FILE,
        " if kinds.usable(turn, c)]",
        "]",
        (f"{PACING}::test_what_no_host_would_take_has_no_wait_and_the_queue_no_end",),
    ),
    Mutant(
        "pacing: a queue that stands still is forecast",
        FILE,
        "self._stands = board.paused or board.stopping",
        "self._stands = board.stopping",
        (f"{PACING}::test_what_no_host_would_take_has_no_wait_and_the_queue_no_end",),
    ),
    Mutant(
        "pacing: an end is told though one task has none",
        FILE,
        "return max(known, default=None) if len(known) == len(waits) else None",
        "return max(known, default=None)",
        (f"{PACING}::test_what_no_host_would_take_has_no_wait_and_the_queue_no_end",),
    ),
    Mutant(
        "pacing: free slots are waited for",
        FILE,
        "(1 - max(0, slots - host.busy)) * mean",
        "1 * mean",
        (f"{PACING}::test_a_free_slot_is_taken_at_once_and_the_next_when_a_call_ends",),
    ),
    Mutant(
        "pacing: worse tasks are waited for",
        FILE,
        "            _counted(rivals, lambda p: p < priority),",
        "            _counted(rivals, lambda p: p > priority),",
        (f"{PACING}::test_better_tasks_of_others_are_waited_for_and_worse_ones_are_not",),
    ),
    Mutant(
        "pacing: the last of each lane is taken for the last of all",
        FILE,
        "ahead += before if before < len(other.heads) else other.queued",
        "ahead += other.queued",
        (f"{PACING}::test_the_drain_is_the_longest_wait_of_all_that_is_shown",),
    ),
    Mutant(
        "pacing: a host that did nothing for days has no past",
        "ygg/running/dispatcher.py",
        "rows += await self._archive.minutes(idle, now_ms - KEPT_MS)",
        "rows += []",
        ("tests/cases/test_forecasts.py",),
    ),
    Mutant(
        "pacing: a change of models waits for nothing but a slot",
        FILE,
        "busy = residency.in_the_way(self._board, place)",
        "busy = False",
        (
            f"{PACING}::test_a_change_of_models_waits_for_the_calls_with_the_other_one_beside_free_slots",
        ),
    ),
    Mutant(
        "pacing: a host changes its model though another of its servers has it",
        FILE,
        "min(ms, found.get(place.host, inf))",
        "max(ms, found.get(place.host, -inf))",
        (f"{PACING}::test_a_host_whose_other_server_has_the_model_is_not_waited_for",),
    ),
    Mutant(
        "pacing: what is unknown is not said",
        "ygg/view/render.py",
        'return "empty in: unknown" if waits else ""',
        'return ""',
        ("tests/cases/test_forecasts.py",),
    ),
]
