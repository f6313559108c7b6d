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
        "if gates.up(turn.board, c, turn.now))",
        "if c)",
        (f"{PACING}::test_what_has_no_host_now_holds_up_no_forecast",),
    ),
    Mutant(
        "pacing: a queue that stands still is forecast",
        FILE,
        "if board.paused or board.stopping:",
        "if board.stopping:",
        (f"{PACING}::test_what_has_no_host_now_holds_up_no_forecast",),
    ),
    Mutant(
        "pacing: a host that did nothing for days has no past",
        "ygg/running/dispatcher.py",
        "rows += await self._archive.minutes(idle, now_ms - KEPT_MS)",
        "rows += []",
        ("tests/cases/test_forecasts.py",),
    ),
    Mutant(
        "pacing: what is unknown is not said",
        "ygg/view/render.py",
        'return "unknown" if waits else "--"',
        'return "--"',
        ("tests/cases/test_forecasts.py",),
    ),
]
