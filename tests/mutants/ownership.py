"""Planted bugs in who has a database, which one is meant, and who may read it."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

GUARDING = ("tests/stores/test_guarding.py",)
DATABASE = "tests/cases/test_database.py"
KEPT = ("tests/config/test_kept.py",)
UNITS = ("tests/ops/service/test_units.py",)

MUTANTS: list[Mutant] = [
    Mutant(
        "a backup says that somebody has it",
        "ygg/stores/sqlite/inspecting.py",
        "    disown(db)\n",
        "",
        ("tests/stores/test_guarding.py::test_no_copy_says_that_somebody_has_it",),
    ),
    Mutant(
        "a person's start goes on with an old configuration",
        "ygg/config/kept.py",
        "        if service:",
        "        if True:",
        KEPT,
    ),
    Mutant(
        "what nobody has read is kept as good",
        "ygg/config/kept.py",
        "        if load(part, env, copy_of=config.source).fingerprint != config.fingerprint:",
        "        if False:",
        KEPT,
    ),
    Mutant(
        "nobody is told of the configuration that is not in force",
        "ygg/reloading.py",
        "        scope.dispatcher.config_error = first and",
        "        _ = first and",
        (
            "tests/system/test_systemd.py::test_after_a_broken_edit_a_service_starts_on_the_last_good_configuration_and_says_so",
        ),
    ),
    Mutant(
        "who had a database that was deleted is not found",
        "ygg/locking.py",
        "            if found is not None and found.database == real:",
        "            if False:",
        ("tests/stores/test_guarding.py::test_who_has_a_database_is_told_with_where_he_listens",),
    ),
    Mutant(
        "a new database is made beside the daemon whose file was deleted",
        "ygg/locking.py",
        "            if not real.exists() and (has := owner(real)) is not None:",
        "            if False:",
        ("tests/stores/test_guarding.py::test_who_has_a_database_is_told_with_where_he_listens",),
    ),
    Mutant(
        "damage waits for the next start to be told",
        "ygg/running/chores.py",
        "        except StoreCorrupt:\n            raise\n",
        "",
        ("tests/shell/test_chores.py::test_damage_ends_the_chore_and_other_trouble_does_not",),
    ),
    Mutant(
        "a whole look through the database finds nothing",
        "ygg/stores/sqlite/reader.py",
        '        if found != "ok":',
        "        if False:",
        ("tests/stores/test_guarding.py::test_damage_is_found_while_the_database_is_open",),
    ),
    Mutant(
        "doctor does not compare the database that is there with the daemon's",
        "ygg/ops/doctor/daemon.py",
        '    if locking.held(path, int(daemon["pid"])):',
        "    if True:",
        ("tests/ops/doctor/test_daemon.py",),
    ),
    Mutant(
        "the files are not looked at before a commit",
        "ygg/stores/sqlite/writer.py",
        "        self._guard.check()\n",
        "",
        GUARDING,
    ),
    Mutant(
        "only the database itself is looked at, not its log",
        "ygg/stores/sqlite/guarding.py",
        'SIDES = ("", "-wal", "-shm")',
        'SIDES = ("",)',
        GUARDING,
    ),
    Mutant(
        "what is known is not saved",
        "ygg/stores/sqlite/writer.py",
        "            self._die(self._rescued(error))",
        "            self._die(error)",
        GUARDING,
    ),
    Mutant(
        "a deleted database begins anew, though its tasks were saved",
        "ygg/stores/sqlite/__init__.py",
        "    guarding.refuse_lost(path)\n",
        "",
        GUARDING,
    ),
    Mutant(
        "the lock file is all that proves the last owner dead",
        "ygg/stores/sqlite/guarding.py",
        "    if last.lives:",
        "    if False:",
        GUARDING,
    ),
    Mutant(
        "a process is known by its number alone",
        "ygg/stores/sqlite/guarding.py",
        "        return self.started == _started(self.process)",
        "        return True",
        ("tests/stores/test_guarding.py::test_a_process_is_told_from_a_later_one_with_its_number",),
    ),
    Mutant(
        "a command after a kill keeps the next dispatcher out",
        "ygg/stores/sqlite/opening.py",
        "        guarding.disown(db)  # who had it last is dead",
        "        pass  # who had it last is dead",
        (
            "tests/stores/test_guarding.py::"
            "test_a_command_after_a_kill_does_not_keep_the_next_dispatcher_out",
        ),
    ),
    Mutant(
        "the log of a killed owner may be missing",
        "ygg/stores/sqlite/guarding.py",
        "    if last.inode == identify(path).inode and not log_there:",
        "    if False:",
        GUARDING,
    ),
    Mutant(
        "an owner that closes stays written down",
        "ygg/stores/sqlite/__init__.py",
        "            if self._dispatcher:\n                guarding.disown(self._db)\n",
        "",
        ("tests/stores/test_guarding.py::test_an_owner_that_closed_and_a_copy_need_no_log",),
    ),
    Mutant(
        "copies of before a migration are kept for ever",
        "ygg/stores/sqlite/opening.py",
        "            if copy.stat().st_mtime < before_s:",
        "            if False:",
        (
            "tests/stores/test_guarding.py::test_copies_of_before_a_migration_go_with_what_they_hold",
        ),
    ),
    Mutant(
        "a copy of before a migration may be read by others",
        "ygg/stores/sqlite/guarding.py",
        "    private.made(target)\n",
        "",
        (
            "tests/stores/test_migration.py::test_the_copy_made_before_is_whole_and_as_old_as_it_was",
        ),
    ),
    Mutant(
        "the umask decides who may read a directory",
        "ygg/private.py",
        "            part.chmod(0o700)\n",
        "",
        ("tests/test_private.py",),
    ),
    Mutant(
        "a planted link is followed",
        "ygg/private.py",
        "FLAGS = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW",
        "FLAGS = os.O_CREAT | os.O_CLOEXEC",
        ("tests/test_private.py",),
    ),
    Mutant(
        "a state directory stays open to others",
        "ygg/private.py",
        "    if not missing:\n        close(path)\n",
        "",
        ("tests/test_private.py", *GUARDING),
    ),
    Mutant(
        "the lock file does not tell where its owner listens",
        "ygg/wire.py",
        "socket=door and door.path",
        "socket=None",
        (f"{DATABASE}::test_cron_and_su_find_the_daemon_without_a_runtime_directory",),
    ),
    Mutant(
        "whoever listens on a socket is asked",
        "ygg/client.py",
        "        if found in (user, 0):",
        "        if True:",
        (f"{DATABASE}::test_no_prompt_is_handed_to_a_stranger_s_socket",),
    ),
    Mutant(
        "a daemon that starts is not waited for",
        "ygg/client.py",
        "        if queue.owner is None or queue.owner.socket is None:",
        "        if True:",
        ("tests/surface/test_client.py",),
    ),
    Mutant(
        "a command that meets a daemon at the lock gives up",
        "ygg/api/offline.py",
        "            desk = self._daemon()",
        "            desk = None",
        (
            "tests/surface/test_client_desks.py::test_a_command_that_meets_a_daemon_at_the_lock_asks_it",
        ),
    ),
    Mutant(
        "with a service installed a private queue is used where nobody answers",
        "ygg/meant.py",
        "    return _installed(env) or _private(env, paths.usual_sockets(env))",
        "    return _private(env, paths.usual_sockets(env))",
        (f"{DATABASE}::test_where_a_service_is_installed_its_queue_is_meant_and_no_other",),
    ),
    Mutant(
        "a daemon starts by hand beside a service",
        "ygg/daemon.py",
        "    meant.refuse_beside_service(os.environ)\n",
        "",
        (f"{DATABASE}::test_where_a_service_is_installed_its_queue_is_meant_and_no_other",),
    ),
    Mutant(
        "where a named socket is dead the database is used",
        "ygg/meant.py",
        "        return Queue((Door(named),))",
        "        return Queue((Door(named),), paths.state_dir(env) / paths.DATABASE)",
        (f"{DATABASE}::test_a_socket_that_was_named_is_the_only_one",),
    ),
    Mutant(
        "the socket of the service manager is removed at the end",
        "ygg/api/server.py",
        "        if self._socket is not None and not self._given:",
        "        if self._socket is not None:",
        (
            "tests/system/test_systemd.py::test_the_socket_of_the_service_manager_outlives_the_daemon_and_who_comes_meanwhile_waits",
        ),
    ),
    Mutant(
        "a socket that was handed over to another process is taken",
        "ygg/api/server.py",
        "    if process != str(os.getpid()) or",
        "    if",
        ("tests/surface/test_api_server.py",),
    ),
    Mutant(
        "systemd takes the socket away with the service",
        "ygg/ops/service/units/ygg.service",
        "StateDirectory=ygg\n",
        "StateDirectory=ygg\nRuntimeDirectory=ygg\n",
        UNITS,
    ),
]
