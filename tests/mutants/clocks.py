"""Planted bugs: clocks that are set, pauses that servers ask for."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CLOCK = "tests/shell/test_clock.py"
GATES = "tests/core/hosts/test_gates.py"
FAILURES = "tests/backends/test_failures.py"

MUTANTS = [
    Mutant(
        "clock: times jump with the machine's clock",
        "ygg/running/clock.py",
        "return self._begun_ms + round((self._steady_s() - self._begun) * 1000)",
        "return self.machine_ms()",
        (f"{CLOCK}::test_a_jump_ends_no_deadline_and_moves_none",),
    ),
    Mutant(
        "clock: it stands still while the machine sleeps",
        "ygg/running/clock.py",
        'getattr(time, "CLOCK_BOOTTIME", None)',
        "time.CLOCK_PROCESS_CPUTIME_ID",
        (f"{CLOCK}::test_a_clock_runs_on_while_the_machine_sleeps",),
    ),
    Mutant(
        "clock: a small difference is a jump",
        "ygg/running/clock.py",
        "return off if abs(off) >= STEP_MS else 0",
        "return off",
        (f"{CLOCK}::test_what_a_time_service_puts_right_slowly_is_no_jump",),
    ),
    Mutant(
        "clock: what a person schedules waits for one clock alone",
        "ygg/running/loop.py",
        "queue.promote(self.clock.now_ms(), self.clock.machine_ms())",
        "queue.promote(self.clock.now_ms())",
        (f"{CLOCK}::test_what_a_person_has_scheduled_is_due_by_whichever_clock_is_first",),
    ),
    Mutant(
        "clock: a back-off ends when the clock is set forward",
        "ygg/stores/memory.py",
        "said = [t for t in self._waiting() if t.reason == ReasonCode.SUBMITTED]",
        "said = self._waiting()",
        (f"{CLOCK}::test_a_jump_neither_ends_a_back_off_nor_draws_it_out",),
    ),
    Mutant(
        "clock: times said after a jump are of another clock",
        "ygg/running/dispatcher.py",
        "[self._loop.clock.placed(t) for t in tasks]",
        "tasks",
        (f"{CLOCK}::test_times_said_after_a_jump_are_those_of_the_machine",),
    ),
    Mutant(
        "clock: it is taken over while tasks wait",
        "ygg/running/chores.py",
        "if off and await _idle(archive):",
        "if off:",
        (f"{CLOCK}::test_the_machines_clock_is_taken_over_once_nothing_waits",),
    ),
    Mutant(
        "clock: what has ended stays where the old clock had it",
        "ygg/core/timing.py",
        "at_ms=end.at_ms + by_ms",
        "at_ms=end.at_ms",
        (f"{CLOCK}::test_what_ended_before_the_clock_was_taken_over_makes_no_rate_absurd",),
    ),
    Mutant(
        "clock: a wait over a restart is negative",
        "ygg/model/tasks.py",
        "return max(0, self.started_ms - self.waiting_ms)",
        "return self.started_ms - self.waiting_ms",
        (f"{CLOCK}::test_a_clock_that_went_back_between_two_runs_makes_a_wait_of_nothing",),
    ),
    Mutant(
        "clock: an answer tells of a negative wait",
        "ygg/api/bodies.py",
        "else max(0, end_ms - start_ms)",
        "else end_ms - start_ms",
        (
            "tests/cases/test_clock.py::test_a_clock_set_back_between_two_runs_makes_a_wait_of_nothing",
        ),
    ),
    Mutant(
        "pause: a server is believed for as long as it says",
        "ygg/backends/failures.py",
        "min(max(seconds, 0.0), PAUSE_MAX_S)",
        "max(seconds, 0.0)",
        (f"{FAILURES}::test_retry_after_is_seconds_or_a_date",),
    ),
    Mutant(
        "pause: the clock of the server counts for nothing",
        "ygg/backends/failures.py",
        "(time.time() if now is None else now)",
        "time.time()",
        (f"{FAILURES}::test_retry_after_is_seconds_or_a_date",),
    ),
    Mutant(
        "pause: none at all is asked again at once",
        "ygg/core/hosts/gates.py",
        "return max(said, policy.probe_min_s) if said else None",
        "return said",
        (f"{GATES}::test_a_pause_of_nothing_is_no_reason_to_ask_again_at_once",),
    ),
    Mutant(
        "pause: a person does not end it",
        "ygg/core/hosts/gates.py",
        "server.busy_until = min(server.busy_until, now.mono)",
        "pass",
        (f"{GATES}::test_a_person_ends_the_pause_and_one_call_tries_the_host",),
    ),
    Mutant(
        "pause: once a person ended it, all calls come at once",
        "ygg/core/hosts/gates.py",
        "server.busy_until = min(server.busy_until, now.mono)",
        "server.busy_until, server.busy_times = 0.0, 0",
        (f"{GATES}::test_a_person_ends_the_pause_and_one_call_tries_the_host",),
    ),
    Mutant(
        "pause: a host that is down is looked at later",
        "ygg/core/hosts/gates.py",
        "        if server.open:\n            server.check_at = now.mono\n",
        "",
        (f"{GATES}::test_a_person_who_resumes_a_host_that_is_down_has_it_looked_at",),
    ),
]
