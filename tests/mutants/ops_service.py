"""Planted bugs in the service manager's protocol, the journal and the installer."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

NOTIFY, SERVICE = "tests/ops/service/test_notify.py", "tests/ops/service/test_installing.py"
SYSTEM = "tests/system/test_systemd.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "the watchdog is fed by a timer",
        "ygg/ops/service/heartbeat.py",
        "            await self._progress()",
        "            pass",
        (f"{SYSTEM}::test_a_hang_is_not_fed_and_its_stack_is_shown",),
    ),
    Mutant(
        "the watchdog does not ask the store",
        "ygg/ops/service/heartbeat.py",
        "await self._dispatcher.loop.queue.lanes()",
        "pass",
        (f"{SYSTEM}::test_a_hang_is_not_fed_and_its_stack_is_shown",),
    ),
    Mutant(
        "ready is said before the socket is there",
        "ygg/daemon.py",
        'self.notifier.starting(START_S, "opening the database")',
        'self.notifier.ready("opening the database")',
        (f"{SYSTEM}::test_ready_means_that_the_socket_answers_though_a_host_is_silent",),
    ),
    Mutant(
        "children inherit the notify socket",
        "ygg/ops/service/notify.py",
        'env.pop("NOTIFY_SOCKET", None)',
        'env.get("NOTIFY_SOCKET")',
        (f"{SYSTEM}::test_no_child_can_speak_for_the_daemon",),
    ),
    Mutant(
        "the watchdog of another process is fed",
        "ygg/ops/service/notify.py",
        'pid in ("", str(os.getpid()))',
        "True",
        (f"{SYSTEM}::test_a_watchdog_of_another_process_is_not_fed",),
    ),
    Mutant(
        "a drain asks for no more time",
        "ygg/ops/service/heartbeat.py",
        "            self._notifier.stopping(EXTEND_S, text)",
        "            self._notifier.status(text)",
        (NOTIFY,),
    ),
    Mutant(
        "a reload is never over",
        "ygg/reloading.py",
        "            self.tell_broken(scope)\n            heart.ready()",
        "            self.tell_broken(scope)",
        (f"{SYSTEM}::test_sighup_is_framed_by_reloading_and_ready",),
    ),
    Mutant(
        "a log file is never asked for its size",
        "ygg/logs.py",
        "return self._unasked == 1 and",
        "return self._unasked == ASK_LINES and",
        (
            "tests/ops/test_logs.py::test_a_full_file_is_rotated_within_so_many_lines_and_loses_none",
        ),
    ),
    Mutant(
        "a quiet line waits for a further one",
        "ygg/logs.py",
        "        super().emit(record)\n        self._waits.set()\n",
        "        super().emit(record)\n",
        ("tests/ops/test_logs.py::test_a_quiet_line_is_written_without_a_further_one",),
    ),
    Mutant(
        "the lines of a traceback have no priority",
        "ygg/logs.py",
        '"\\n".join(prefix + line for line in lines)',
        'prefix + "\\n".join(lines)',
        ("tests/ops/test_logs.py",),
    ),
    Mutant(
        "the environment overrules the file",
        "ygg/config/environment.py",
        "used=own is None, why=why)",
        "used=True, why=why)",
        (SERVICE,),
    ),
    Mutant(
        "links into a home are not followed",
        "ygg/ops/service/installing.py",
        "for path in (place.absolute(), place.resolve()):",
        "for path in (place.absolute(),):",
        (SERVICE,),
    ),
    Mutant(
        "an edited hosts.yaml is replaced",
        "ygg/ops/service/steps.py",
        "        if not self.path.exists():\n            Write",
        "        if True:\n            Write",
        (SERVICE,),
    ),
    Mutant(
        "the unit filters out what the daemon needs",
        "ygg/ops/service/units/ygg.service",
        "SystemCallFilter=~@privileged @resources",
        "SystemCallFilter=~@privileged @resources @network-io",
        (f"{SYSTEM}::test_the_daemon_works_inside_the_unit_s_system_call_filter",),
    ),
]
