"""Planted bugs in the probes, and in the commands that read and trust hosts."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

SMI, SSH, NVML, BUILDING, CLI = (
    f"tests/probes/test_{name}.py" for name in ("smi", "ssh", "nvml", "building", "cli")
)

MUTANTS: list[Mutant] = [
    Mutant(
        "probes: host keys are not checked",
        "ygg/probes/login.py",
        '        "known_hosts": trusted(login),',
        '        "known_hosts": None,',
        (f"{SSH}::test_an_unknown_host_key_is_refused_whatever_ssh_config_says",),
    ),
    Mutant(
        "probes: the service's key is not used",
        "ygg/probes/login.py",
        "    return path if path is not None and path.is_file() else None",
        "    return None",
        (BUILDING,),
    ),
    Mutant(
        "probes: a broken line hides the known hosts after it",
        "ygg/probes/login.py",
        """            for line in files.read(path, KNOWN_MAX).decode("utf-8", "replace").splitlines():
                with contextlib.suppress(ValueError):
                    known.load(line)""",
        """            with contextlib.suppress(ValueError):
                known.load(files.read(path, KNOWN_MAX).decode("utf-8", "replace"))""",
        (f"{SSH}::test_keys_that_openssh_knows_are_trusted_too",),
    ),
    Mutant(
        "probes: an absent value is 0",
        "ygg/probes/smi.py",
        "    if _absent(token):\n        return None\n    found = NUMBER",
        "    if _absent(token):\n        return 0.0\n    found = NUMBER",
        (SMI,),
    ),
    Mutant(
        "probes: a new word in brackets is an error",
        "ygg/probes/smi.py",
        'return (text.startswith("[") and text.endswith("]")) or _bare(text) in ABSENT',
        "return _bare(text) in ABSENT",
        (SMI,),
    ),
    Mutant(
        "probes: a blank is a number",
        "ygg/probes/smi.py",
        "    return value if value < BLANK else None",
        "    return value",
        (SMI,),
    ),
    Mutant(
        "probes: escape codes reach messages",
        "ygg/probes/smi.py",
        'ESCAPES.sub("", foreign)',
        "foreign",
        (SMI,),
    ),
    Mutant(
        "probes: two GPUs become two readings",
        "ygg/probes/smi.py",
        "return self.flush() if row.count is not None and len(self._rows) >= row.count else over",
        "return self.flush()",
        (SMI, SSH),
    ),
    Mutant(
        "probes: a lost GPU merges two moments",
        "ygg/probes/smi.py",
        "over = self.flush() if row.device.uuid in self._rows else ()",
        "over = ()",
        (SMI,),
    ),
    Mutant(
        "probes: any unknown memory is unified",
        "ygg/probes/smi.py",
        "told == 0 or (told is None and _bare(total) in UNSUPPORTED)",
        "not told",
        (SMI,),
    ),
    Mutant(
        "probes: a relative limit is taken for a temperature",
        "ygg/probes/smi.py",
        "and card and float(limit[1]) > 0:",
        "and card:",
        (SMI,),
    ),
    Mutant(
        "probes: processes without known memory hold none",
        "ygg/probes/smi.py",
        "    return None if every and not told else told",
        "    return told",
        (SMI, NVML),
    ),
    Mutant(
        "probes: the stream outlives rest",
        "ygg/probes/ssh.py",
        "        if job is not None:\n            job.cancel()",
        "        if job is not None and not job:\n            job.cancel()",
        (f"{SSH}::test_rest_ends_the_command_on_the_other_machine",),
    ),
    Mutant(
        "probes: a sample waits for ever",
        "ygg/probes/ssh.py",
        "            timeout=to_come + self._telemetry.timeout_s,",
        "            timeout=60,",
        (f"{SSH}::test_no_sample_waits_longer_than_the_timeout",),
    ),
    Mutant(
        "probes: what broke between two samples is never told",
        "ygg/probes/ssh.py",
        "        job = self._job = self._job or self._begun()",
        "        job = self._job = (\n"
        "            self._job if self._job and not self._job.done() else self._begun()\n        )",
        (f"{SSH}::test_a_lost_connection_is_told_and_heals",),
    ),
    Mutant(
        "probes: a driver that knows only the old name is given up",
        "ygg/probes/ssh_session.py",
        "        elif (other := habits.query.instead(said)) is not None:",
        "        elif (other := None) is not None:",
        (f"{SSH}::test_an_old_driver_is_asked_by_the_old_name_and_that_is_kept",),
    ),
    Mutant(
        "probes: lines that a pipe holds back are waited for",
        "ygg/probes/ssh_session.py",
        "        habits.way = Way(habits.way + 1)",
        "        habits.silences += 0",
        (f"{SSH}::test_lines_that_a_pipe_holds_back_are_had_another_way",),
    ),
    Mutant(
        "probes: a driver that hangs is asked as often as ever",
        "ygg/probes/ssh_session.py",
        "float(1 << min(10, self._habits.silences // 3))",
        "1.0",
        (f"{SSH}::test_a_driver_that_goes_on_hanging_is_asked_ever_more_rarely",),
    ),
    Mutant(
        "probes: a login bound to one command is asked other questions",
        "ygg/probes/ssh_beside.py",
        "                    if _is_row(query, line):\n                        return None\n",
        "",
        (f"{SSH}::test_a_login_bound_to_one_command_is_enough",),
    ),
    Mutant(
        "probes: a hung driver gets a second call",
        "ygg/probes/lone_thread.py",
        "        await self._free(limit_s)\n",
        "",
        (NVML,),
    ),
    Mutant(
        "probes: a hung driver holds up the end of the interpreter",
        "ygg/probes/lone_thread.py",
        "name=self._name, daemon=True)",
        "name=self._name, daemon=False)",
        (f"{NVML}::test_a_hung_driver_does_not_hold_up_the_end_of_the_interpreter",),
    ),
    Mutant(
        "probes: any error of the memory is unified memory",
        "ygg/probes/nvml_driver.py",
        "            if error.value != NOT_SUPPORTED:",
        "            if not error:",
        (NVML,),
    ),
    Mutant(
        "probes: a lost GPU is asked again without opening the driver anew",
        "ygg/probes/nvml_driver.py",
        "        self.close()\n        return ProbeFailed",
        "        return ProbeFailed",
        (NVML,),
    ),
    Mutant(
        "probes: NVML's relative limits are temperatures",
        "ygg/probes/nvml_driver.py",
        "limit is not None and 0 < limit <= HIGHEST_C",
        "limit is not None",
        (NVML,),
    ),
    Mutant(
        "probes: a resting host holds its driver",
        "ygg/probes/nvml.py",
        "        self._thread.post(self._driver.close)",
        "        self._thread.post(lambda: None)",
        (NVML,),
    ),
    Mutant(
        "probes: every host is this machine",
        "ygg/probes/building.py",
        "any(here.is_here(e.url) for e in host.endpoints)",
        "bool(host.endpoints)",
        (BUILDING,),
    ),
    Mutant(
        "probes: a reload begins every stream anew",
        "ygg/running/scope.py",
        "        stay = {n for n, h in config.hosts.items() if n in before and _reads_alike(before[n], h)}",
        "        stay = {n for n in config.hosts if not before}",
        (BUILDING,),
    ),
    Mutant(
        "probes: nothing closes them in the end",
        "ygg/running/scope.py",
        "        await close_probes(dispatcher.probes or probes)\n",
        "",
        (BUILDING,),
    ),
    Mutant(
        "probes: a changed host key is trusted when told so",
        "ygg/ops/trust.py",
        "    if key.known and key.trusted_in is None:",
        "    if not key:",
        (CLI,),
    ),
    Mutant(
        "probes: any fingerprint will do",
        "ygg/ops/trust.py",
        "    if fingerprint is not None and",
        "    if not key and fingerprint is not None and",
        (CLI,),
    ),
    Mutant(
        "probes: a pipe may say that a key is right",
        "ygg/cli/asking.py",
        "    if not person():\n        return False",
        "    person()",
        (f"{CLI}::test_a_pipe_answers_no_question",),
    ),
    Mutant(
        "probes: a pipe is not told how a host is trusted",
        "ygg/cli/hosts_telemetry.py",
        "    if not asking.person():",
        "    if not host:",
        (f"{CLI}::test_a_pipe_is_nobody_and_is_told_how_to_go_on",),
    ),
    Mutant(
        "probes: others may read which hosts are trusted",
        "ygg/ops/trust.py",
        "os.O_EXCL, 0o600)",
        "os.O_EXCL, 0o644)",
        (CLI,),
    ),
]
