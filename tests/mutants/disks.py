"""Planted bugs: disks that are full or read-only."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

DISKS, LOGS = "tests/test_disks.py", "tests/ops/test_logs.py"
WAITS = "tests/system/test_waiting_for_a_disk.py"
TIMING = "tests/core/test_timing.py"

MUTANTS = [
    Mutant(
        "disk: a quota is no full disk",
        "ygg/disks.py",
        "FULL = (errno.ENOSPC, errno.EDQUOT)",
        "FULL = (errno.ENOSPC,)",
        (f"{DISKS}::test_errors_of_the_system",),
    ),
    Mutant(
        "disk: what SQLite cannot say stays unsaid",
        "ygg/stores/sqlite/translating.py",
        "        case apsw.IOError():\n            return disks.looked(Path(path)) or StoreError(",
        "        case apsw.IOError():\n            return StoreError(",
        (f"{DISKS}::test_an_error_that_says_too_little_is_looked_into",),
    ),
    Mutant(
        "disk: a file system that counts no files is full",
        "ygg/disks.py",
        "disk.f_files > 0 and disk.f_favail == 0",
        "disk.f_favail == 0",
        (f"{DISKS}::test_an_error_that_says_too_little_is_looked_into",),
    ),
    Mutant(
        "disk: a start on a full one ends",
        "ygg/daemon.py",
        "except (StoreFull, StoreReadOnly) as trouble:",
        "except ZeroDivisionError as trouble:",
        (f"{WAITS}::test_it_tries_again_until_there_is_room_and_tells_it_once",),
    ),
    Mutant(
        "disk: it is told with each try",
        "ygg/daemon.py",
        "        if not tries:\n",
        "        if True:\n",
        (f"{WAITS}::test_it_tries_again_until_there_is_room_and_tells_it_once",),
    ),
    Mutant(
        "disk: no signal ends the wait",
        "ygg/daemon.py",
        "            if self.stop.is_set():\n                break\n",
        "            if False:\n                break\n",
        (f"{WAITS}::test_a_signal_ends_the_wait",),
    ),
    Mutant(
        "disk: what is on a full one cannot be read",
        "ygg/stores/sqlite/connecting.py",
        "if _logged(path) or disks.looked(path) is None:",
        "if True:",
        (f"{WAITS}::test_what_is_on_a_disk_that_takes_nothing_is_read",),
    ),
    Mutant(
        "disk: each line that is lost is a traceback",
        "ygg/logs.py",
        "        if isinstance(sys.exc_info()[1], OSError):\n            self._give_up()",
        "        if False:\n            self._give_up()",
        (f"{LOGS}::test_lines_that_a_full_disk_loses_are_counted_and_the_next_ones_are_not",),
    ),
    Mutant(
        "disk: lines that are lost are not counted",
        "ygg/logs.py",
        "self._lost, self._pending = self._lost + self._pending, 0",
        "self._lost, self._pending = 1, 0",
        (f"{LOGS}::test_lines_that_a_full_disk_loses_are_counted_and_the_next_ones_are_not",),
    ),
    Mutant(
        "disk: trouble of the store is told every second",
        "ygg/core/calls.py",
        "if message == said and now.mono < at + STORE_TOLD_S:",
        "if False:",
        (f"{TIMING}::test_trouble_of_the_store_is_told_once_and_then_counted",),
    ),
    Mutant(
        "disk: a start is not told",
        "ygg/core/calls.py",
        "    return [*notes, Start(state.call), *requests",
        "    return [Start(state.call), *requests",
        (f"{TIMING}::test_a_choice_that_the_store_refuses_each_second_is_told_once",),
    ),
    Mutant(
        "disk: a log that holds something is left out",
        "ygg/stores/sqlite/connecting.py",
        "return wal.exists() and wal.stat().st_size > 0",
        "return False",
        (f"{WAITS}::test_what_is_on_a_disk_that_takes_nothing_is_read",),
    ),
]
