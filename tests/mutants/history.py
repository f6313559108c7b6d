"""Planted bugs in the minutes, the advice, the forecast and what tells of them."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MINUTES, TUNING = "tests/telling/test_minutes.py", "tests/telling/test_tuning.py"
FORECAST, CONTRACT = "tests/telling/test_forecast.py", "tests/contract/test_minutes.py"
MIGRATION, SHELL = "tests/stores/test_migration.py", "tests/shell/test_minutes.py"
API, CLI = "tests/surface/test_api_readings.py", "tests/surface/test_cli_tune.py"

MUTANTS = [
    # --- minutes
    Mutant(
        "a start is counted at every look",
        "ygg/telling/minutes.py",
        "if start not in self._counted:",
        "if True:",
        (MINUTES,),
    ),
    Mutant(
        "an idle house writes a row per minute",
        "ygg/telling/minutes.py",
        "if r.worked or _looks(r) != _looks(self._last.get(r.host))",
        "if True",
        (MINUTES, SHELL),
    ),
    Mutant(
        "an idle host that changed has no row",
        "ygg/telling/minutes.py",
        "if r.worked or _looks(r) != _looks(self._last.get(r.host))",
        "if r.worked",
        (MINUTES,),
    ),
    Mutant(
        "stale readings become history",
        "ygg/telling/minutes.py",
        "fresh = [g for g in host.gpus if not g.stale]",
        "fresh = list(host.gpus)",
        (MINUTES,),
    ),
    Mutant(
        "tasks wait for a host with an open slot",
        "ygg/telling/minutes.py",
        "0 if host.free else waiting[host.name]",
        "waiting[host.name]",
        (MINUTES,),
    ),
    Mutant(
        "tasks of a paused queue wait for a slot",
        "ygg/telling/minutes.py",
        "if board.paused or board.stopping:",
        "if board.stopping:",
        (MINUTES,),
    ),
    Mutant(
        "the limit of a minute is its last",
        "ygg/telling/minutes.py",
        "min(self.limit, host.limit)",
        "host.limit",
        (MINUTES,),
    ),
    Mutant(
        "one card that tells no memory hides that of the others",
        "ygg/model/snapshot.py",
        "if not known or (whole and",
        "if not known or (",
        (
            "tests/telling/test_snapshotting.py::test_memory_is_told_of_the_cards_that_pressure_is_measured_on",
        ),
    ),
    Mutant(
        "a wait that is not known counts",
        "ygg/model/tasks.py",
        "if self.started_ms is None or self.state is State.QUEUED:",
        "if self.started_ms is None:",
        (
            "tests/shell/test_clock.py::test_a_clock_that_went_back_between_two_runs_makes_a_wait_of_nothing",
        ),
    ),
    Mutant(
        "a minute that cannot be kept ends the service",
        "ygg/running/chores.py",
        '        except YggError as error:\n            log.warning("the last minute',
        '        except ZeroDivisionError as error:\n            log.warning("the last minute',
        (SHELL,),
    ),
    Mutant(
        "the daemon keeps no minutes",
        "ygg/daemon.py",
        "chores.prune(loop, archive), chores.record_minutes(loop),",
        "chores.prune(loop, archive),",
        ("tests/system/test_minutes.py::test_minutes_are_kept_and_outlive_kill_9",),
    ),
    # --- the store
    Mutant(
        "the first one to record a minute wins",
        "ygg/stores/sqlite/minutes.py",
        "INSERT OR REPLACE",
        "INSERT OR IGNORE",
        (CONTRACT,),
    ),
    Mutant(
        "minutes are never deleted",
        "ygg/stores/sqlite/__init__.py",
        " + history.prune(self._db, now_ms, limit)",
        "",
        (CONTRACT,),
    ),
    Mutant(
        "minutes are deleted a minute early",
        "ygg/stores/sqlite/minutes.py",
        "WHERE minute_ms < ? ORDER",
        "WHERE minute_ms <= ? + 60000 ORDER",
        (CONTRACT,),
    ),
    Mutant(
        "a host gets the minutes of all",
        "ygg/stores/sqlite/minutes.py",
        "AND (?2 IS NULL OR host = ?2)",
        "AND (?2 IS NULL OR TRUE)",
        (CONTRACT,),
    ),
    Mutant(
        "a reader stumbles over an old database",
        "ygg/stores/sqlite/minutes.py",
        '("PRAGMA user_version").get < 2',
        '("PRAGMA user_version").get < 1',
        (MIGRATION,),
    ),
    Mutant(
        "a database is migrated without a copy",
        "ygg/stores/sqlite/opening.py",
        "    if newer and not fresh and version > 0:",
        "    if False:",
        (MIGRATION,),
    ),
    Mutant(
        "half a migration stays",
        "ygg/stores/sqlite/opening.py",
        '            if db.in_transaction:\n                db.execute("ROLLBACK")',
        '            if db.in_transaction:\n                db.execute("COMMIT")',
        (MIGRATION,),
    ),
    # --- advice and forecast
    Mutant(
        "minutes at other numbers of slots count",
        "ygg/telling/tuning.py",
        "mine = [r for r in worked if r.slots == slots]",
        "mine = worked",
        (TUNING,),
    ),
    Mutant(
        "idle minutes count",
        "ygg/telling/tuning.py",
        "worked = [r for r in rows if r.worked]",
        "worked = list(rows)",
        (TUNING,),
    ),
    Mutant(
        "slots are blamed for a lowered limit",
        "ygg/telling/tuning.py",
        "open_ = [r for r in mine if r.limit >= slots]",
        "open_ = mine",
        (TUNING,),
    ),
    Mutant(
        "one bad minute decides",
        "ygg/telling/tuning.py",
        "MOST = 0.9",
        "MOST = 1.0",
        (TUNING,),
    ),
    Mutant(
        "more slots for a card that is nearly full",
        "ygg/telling/tuning.py",
        "ROOM = 85.0",
        "ROOM = 90.0",
        (TUNING,),
    ),
    Mutant(
        "advice after ten minutes",
        "ygg/telling/tuning.py",
        "NEEDED = 30",
        "NEEDED = 10",
        (TUNING,),
    ),
    Mutant(
        "no slots at all are advised",
        "ygg/telling/tuning.py",
        "to or None, text, figures)",
        "to, text, figures)",
        (TUNING,),
    ),
    Mutant(
        "the mean wait forgets how many waited",
        "ygg/telling/tuning.py",
        "sum(r.started * (r.wait_ms or 0) for r in started)",
        "sum(r.wait_ms or 0 for r in started)",
        (TUNING,),
    ),
    Mutant(
        "old readings bend the line",
        "ygg/telling/forecast.py",
        "points = [p for p in points if p.at_ms > now_ms - SPAN_MS]",
        "points = list(points)",
        (FORECAST,),
    ),
    Mutant(
        "a host without a stop is warned of it",
        "ygg/telling/forecast.py",
        "percent < start < 100",
        "percent < start",
        (FORECAST,),
    ),
    Mutant(
        "a level counts as ahead when it is reached",
        "ygg/telling/forecast.py",
        "percent < start < 100",
        "percent <= start < 100",
        (FORECAST,),
    ),
    Mutant(
        "two readings make a trend",
        "ygg/telling/forecast.py",
        "known = len(points) >= LEAST and span_ms >= LEAST_MS",
        "known = len(points) >= 2",
        (FORECAST,),
    ),
    # --- telling it
    Mutant(
        "a stale reading passes for fresh",
        "ygg/api/gauges.py",
        '"fresh": bool(host.gpus) and not any(g.stale for g in host.gpus)',
        '"fresh": bool(host.gpus)',
        (API,),
    ),
    Mutant(
        "the house is as pressed as its best host",
        "ygg/api/gauges.py",
        "return max(known).name",
        "return min(known).name",
        (API,),
    ),
    Mutant(
        "the bundle size is that of LOW",
        "ygg/api/gauges.py",
        "policy.bundle_sizes[Level[level]]",
        "policy.bundle_sizes[0]",
        (API,),
    ),
    Mutant(
        "a stale reading goes into the forecast",
        "ygg/api/measured.py",
        "memory_of([g for g in host.gpus if not g.stale], whole=True)",
        "memory_of(host.gpus)",
        (API,),
    ),
    Mutant(
        "half the cards are kept for all",
        "ygg/telling/minutes.py",
        "memory_of(gpus, whole=True)",
        "memory_of(gpus)",
        (MINUTES,),
    ),
    Mutant(
        "tasks wait for the slots of a server that says it is busy",
        "ygg/telling/minutes.py",
        "    return turn.board.hosts[candidate.host].servers[candidate.endpoint].busy_until <= turn.now.mono",
        "    return True",
        (MINUTES,),
    ),
    Mutant(
        "a whole house's two weeks come in one answer",
        "ygg/api/queries.py",
        'MAX_MINUTES if query.get("host") is not None else MAX_MINUTES_ALL',
        "MAX_MINUTES",
        (API,),
    ),
    Mutant(
        "the advice looks back a fixed time",
        "ygg/api/measured.py",
        "self._wall_ms() - days * DAY_MS",
        "self._wall_ms() - 7 * DAY_MS",
        (API, CLI),
    ),
    Mutant(
        "the advice is wider than a terminal",
        "ygg/cli/tune.py",
        "WIDTH = 80",
        "WIDTH = 120",
        (CLI,),
    ),
]
