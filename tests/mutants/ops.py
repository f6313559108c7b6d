"""Planted bugs in doctor, init and backup."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

BACKUP, DOCTOR, FIRST = "tests/ops/test_backup.py", "tests/ops/doctor", "tests/ops/first"
TRYING = "tests/cases/test_trying.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "ops: a backup is written straight to its target",
        "ygg/ops/backup.py",
        '    part = target.with_name(f".{target.name}.part")',
        "    part = target",
        (BACKUP,),
    ),
    Mutant(
        "ops: a copy is not of one moment",
        "ygg/stores/sqlite/inspecting.py",
        '        origin.execute("BEGIN")',
        '        origin.execute("SELECT 1")',
        (f"{BACKUP}::test_tasks_stored_during_the_copy_do_not_make_it_start_again",),
    ),
    Mutant(
        "ops: a backup is not checked",
        "ygg/stores/sqlite/inspecting.py",
        '    found = db.execute("PRAGMA integrity_check(1)").get\n',
        '    verdict = "ok"\n',
        (BACKUP,),
    ),
    Mutant(
        "ops: force replaces the database by its backup",
        "ygg/ops/backup.py",
        "    if _is(target, source):",
        "    if False:",
        (f"{BACKUP}::test_the_database_itself_is_never_replaced",),
    ),
    Mutant(
        "ops: a check has no deadline",
        "ygg/ops/doctor/checks.py",
        "    limit = asyncio.timeout(deadline_s)",
        "    limit = asyncio.timeout(30 * deadline_s + 30)",
        (
            "tests/ops/doctor/test_checks.py::test_a_check_that_hangs_is_an_error_and_hides_no_other",
        ),
    ),
    Mutant(
        "ops: checks run one after the other",
        "ygg/ops/doctor/checks.py",
        "    found = await asyncio.gather(*(_bounded(probe, DEADLINE_S) for probe in probes))",
        "    found = [await _bounded(probe, DEADLINE_S) for probe in probes]",
        (f"{DOCTOR}/test_checks.py::test_checks_run_at_the_same_time",),
    ),
    Mutant(
        "ops: models of routes are not looked for",
        "ygg/ops/doctor/hosts.py",
        "    if serves(server, health, model):\n        return of.ok",
        "    if True:\n        return of.ok",
        ("tests/ops/doctor/test_hosts.py::test_a_model_of_a_route_must_be_there",),
    ),
    Mutant(
        "ops: servers are asked for a token by nobody's wish",
        "ygg/ops/doctor/report.py",
        "(await self._answers(config) if self._ask else [])",
        "(await self._answers(config))",
        (f"{TRYING}::test_a_person_sees_the_answers_and_nobody_is_asked_without_being_told_to",),
    ),
    Mutant(
        "ops: the first model is loaded though a smaller one is there",
        "ygg/ops/doctor/answers.py",
        "    if smallest is not None:",
        "    if False:",
        (f"{DOCTOR}/test_answers.py",),
    ),
    Mutant(
        "ops: a model is loaded though another is in memory",
        "ygg/ops/doctor/answers.py",
        "    if loaded:\n",
        "    if False:\n",
        (f"{DOCTOR}/test_answers.py",),
    ),
    Mutant(
        "ops: a model that cannot chat is taken for a sick server",
        "ygg/ops/doctor/answers.py",
        "            if failure.kind not in (OutcomeKind.REFUSED, OutcomeKind.BAD_REQUEST):",
        "            if True:",
        (f"{TRYING}::test_each_server_is_asked_for_a_token",),
    ),
    Mutant(
        "ops: a server with tasks on all its own slots is asked beside them",
        "ygg/ops/doctor/answers.py",
        "    return inside or host",
        "    return host",
        ("tests/ops/doctor/test_answers.py",),
    ),
    Mutant(
        "ops: a server whose slots are busy is asked all the same",
        "ygg/ops/doctor/answers.py",
        "lambda: _busy(server) if taken else examine(server)",
        "lambda: examine(server)",
        (f"{TRYING}::test_each_server_is_asked_for_a_token",),
    ),
    Mutant(
        "ops: a model that takes its time to load is an error",
        "ygg/ops/doctor/answers.py",
        "    if failure.abandoned and not choice.loaded:",
        "    if False:",
        (f"{TRYING}::test_each_server_is_asked_for_a_token",),
    ),
    Mutant(
        "ops: a sick server is a warning",
        "ygg/ops/doctor/answers.py",
        "    if failure.abandoned and not choice.loaded:",
        "    if not choice.loaded or True:",
        (f"{TRYING}::test_each_server_is_asked_for_a_token",),
    ),
    Mutant(
        "ops: answers are shown to nobody",
        "ygg/cli/doctor.py",
        " or check.category == ASKED_FOR",
        "",
        (f"{TRYING}::test_a_person_sees_the_answers_and_nobody_is_asked_without_being_told_to",),
    ),
    Mutant(
        "ops: warnings never fail a strict run",
        "ygg/ops/doctor/report.py",
        "(self.strict and self.count(Status.WARNING))",
        "False",
        ("tests/ops/doctor/test_report.py::test_warnings_fail_only_a_strict_run",),
    ),
    Mutant(
        "ops: the network is looked at without consent",
        "ygg/cli/init.py",
        "(nets and (network or yes or asking.ask(question)))",
        "nets",
        ("tests/ops/first/test_networks.py::test_the_network_is_not_touched_without_consent",),
    ),
    Mutant(
        "ops: yes overwrites hosts.yaml",
        "ygg/cli/init.py",
        "    may_write = force or not",
        "    may_write = force or yes or not",
        (f"{FIRST}/test_file.py",),
    ),
    Mutant(
        "ops: names of models are not quoted",
        "ygg/ops/first/proposal.py",
        "    return json.dumps(value, ensure_ascii=False)",
        "    return value",
        ("tests/ops/first/test_proposal.py::test_text_that_yaml_would_read_otherwise_is_quoted",),
    ),
]
