"""Planted bugs in how input is taken in, and in what bounds it."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

ATTACK = "tests/cases/test_attack.py"
MEANWHILE = f"{ATTACK}::test_others_are_answered_meanwhile"
CONFIGURATION = "tests/cases/test_configuration.py"
SUBMITTING = "tests/cases/test_submitting.py"
DOCUMENTS = "tests/intake/test_documents.py"
CONNECTIONS = "tests/surface/test_connections.py"
STALLS = "tests/shell/test_stalls.py"

MUTANTS: list[Mutant] = [
    Mutant(
        "titles are matched in the loop by an engine that backtracks",
        "ygg/config/records.py",
        "compiled(p).search(title) is not None",
        '__import__("re").search(p, title, 2)',
        ("tests/config/test_patterns.py",),
    ),
    Mutant(
        "titles are matched by a backtracking engine",
        "ygg/config/patterns.py",
        "found: Pattern = re2.compile(pattern, options)",
        "found: Pattern = re.compile(pattern, re.IGNORECASE)",
        ("tests/config/test_patterns.py",),
    ),
    Mutant(
        "a large body is checked in the loop",
        "ygg/api/aside.py",
        "    if size <= SMALL:",
        "    if size:",
        ("tests/surface/test_aside.py",),
    ),
    Mutant(
        "a request of many values is written in the loop",
        "ygg/backends/bodies.py",
        "        left -= VALUE",
        "        left -= 0",
        ("tests/backends/test_http.py",),
    ),
    Mutant(
        "values are counted after they are made",
        "ygg/intake/parsing.py",
        "    if len(raw) > most and values(raw) > most:  # each takes a byte",
        "    if False:",
        ("tests/intake/test_reading_and_times.py", f"{MEANWHILE}[many_keys]"),
    ),
    Mutant(
        "what is inside strings is counted",
        "ygg/intake/parsing.py",
        'b"".join(parts[inside::2])',
        'b"".join(parts)',
        ("tests/intake/test_reading_and_times.py",),
    ),
    Mutant(
        "an escape at the end of a slice is forgotten",
        "ygg/intake/parsing.py",
        'held = b"\\\\" if piece.endswith(b"\\\\") else b""',
        'held = b""',
        ("tests/intake/test_reading_and_times.py",),
    ),
    Mutant(
        "a line may be as long as it likes",
        "ygg/intake/parsing.py",
        "        if len(raw) > DOCUMENT_MAX:\n            _skip_line(stream, raw)",
        "        if len(raw) > DOCUMENT_MAX:",
        (f"{SUBMITTING}::test_a_line_that_is_too_much_is_named_and_the_others_are_stored",),
    ),
    Mutant(
        "a document may hold any number of values",
        "ygg/intake/checking.py",
        "        if self._values > DOCUMENT_VALUES:",
        "        if False:",
        (f"{DOCUMENTS}::test_many_problems_are_few_errors",),
    ),
    Mutant(
        "every unknown key is an error to make",
        "ygg/intake/checking.py",
        "    if len(unknown) <= PROBLEMS:",
        "    if True:",
        (f"{DOCUMENTS}::test_unknown_keys_beyond_those_told_are_left_out",),
    ),
    Mutant(
        "hosts.yaml is read in the loop at a reload",
        "ygg/reloading.py",
        "await asyncio.to_thread(self._load, scope.config)",
        "[self._load(scope.config) for _ in range(5)][0]",  # far from what is borne, however fast the machine
        (f"{MEANWHILE}[large_yaml]",),
    ),
    Mutant(
        "a file that does not end is read",
        "ygg/files.py",
        "    if kind != stat.S_IFREG and not handed:",
        "    if False:",
        ("tests/test_files.py::test_what_waits_for_somebody_else_is_refused",),
    ),
    Mutant(
        "a file has no limit",
        "ygg/files.py",
        "    if len(data) > most:",
        "    if False:",
        ("tests/test_files.py::test_a_regular_file_is_read_up_to_its_limit",),
    ),
    Mutant(
        "a key is read once, at the start",
        "ygg/backends/http.py",
        '            text = f"{error.message}: {error.hint}"\n',
        '            self._authorized = True\n            text = f"{error.message}: {error.hint}"\n',
        (f"{CONFIGURATION}::test_a_bad_key_stops_its_host_and_no_other",),
    ),
    Mutant(
        "a byte order mark is part of the key",
        "ygg/config/keys.py",
        'decode("utf-8-sig")',
        'decode("utf-8")',
        (f"{CONFIGURATION}::test_a_byte_order_mark_and_blanks_around_a_key_are_no_part_of_it",),
    ),
    Mutant(
        "nobody is told that a type speaks for others",
        "ygg/config/loading.py",
        "    if others:",
        "    if False:",
        (f"{CONFIGURATION}::test_a_type_that_says_how_a_model_is_loaded_says_it_for_all",),
    ),
    Mutant(
        "a number is a host",
        "ygg/config/urls.py",
        '    elif _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):',
        "    elif False:",
        ("tests/config/test_urls.py",),
    ),
    Mutant(
        "a metadata service hides behind an address of six",
        "ygg/config/urls.py",
        "    seen = mapped or address",
        "    seen = address",
        ("tests/config/test_urls.py",),
    ),
    Mutant(
        "a model that nobody has is queued",
        "ygg/intake/matching.py",
        "        raise _no_model(lane, config)",
        "        return",
        (
            DOCUMENTS,
            f"{SUBMITTING}::test_a_model_or_host_that_does_not_exist_is_refused_with_what_there_is",
        ),
    ),
    Mutant(
        "an unknown type is taken without a word",
        "ygg/api/submits.py",
        "    found = doubt(task.lane.type, config)",
        "    found = None",
        (f"{SUBMITTING}::test_over_http_an_unknown_agent_type_is_taken_and_told",),
    ),
    Mutant(
        "null is a value",
        "ygg/intake/checking.py",
        "if v is not None or k not in cls.model_fields",
        "if True",
        (f"{DOCUMENTS}::test_null_means_not_set_for_every_key",),
    ),
    Mutant(
        "a whole float is no number",
        "ygg/intake/checking.py",
        "    return int(value) if isinstance(value, float) and value.is_integer() else value",
        "    return value",
        (f"{DOCUMENTS}::test_a_whole_float_means_the_number",),
    ),
    Mutant(
        "half a request waits for ever",
        "ygg/api/connections.py",
        "        self._late = self.loop.call_later(HEAD_S, self.transport.close)",
        "        pass",
        (f"{CONNECTIONS}::test_half_a_head_ends_the_connection",),
    ),
    Mutant(
        "dripping prolongs half a request",
        "ygg/api/connections.py",
        "        elif self._late is None:\n",
        "        else:\n            self._stop_waiting()\n",
        (f"{CONNECTIONS}::test_dripping_does_not_prolong_it",),
    ),
    Mutant(
        "clients take every descriptor",
        "ygg/api/connections.py",
        "        if len(self._open) > self._most:",
        "        if False:",
        (f"{CONNECTIONS}::test_silent_connections_make_room_the_oldest_first",),
    ),
    Mutant(
        "a request under way is cut for a new client",
        "ygg/api/connections.py",
        "(c for c in self._open if not c.working), connection)",
        "iter(self._open), connection)",
        (f"{CONNECTIONS}::test_a_request_under_way_is_not_cut_for_a_new_one",),
    ),
    Mutant(
        "a body may stop coming",
        "ygg/api/app.py",
        "limit_s if more else None",
        "None",
        (f"{CONNECTIONS}::test_a_body_that_stops_coming_is_an_error",),
    ),
    Mutant(
        "want of descriptors is the host's fault",
        "ygg/backends/failures.py",
        "    OutcomeKind.WITHDRAWN: HostHealth.UNKNOWN,\n",
        "",
        ("tests/backends/test_failures.py",),
    ),
    Mutant(
        "a check that could not ask calls the host down",
        "ygg/core/hosts/gates.py",
        "    if health.health is HostHealth.UNKNOWN:",
        "    if False:",
        ("tests/core/hosts/test_gates.py",),
    ),
    Mutant(
        "a stall of the machine is blamed on the loop",
        "ygg/running/stalls.py",
        "        if busy_s > late_s / 2:",
        "        if True:",
        (f"{ATTACK}::test_a_stall_of_the_machine_is_counted_and_told",),
    ),
    Mutant(
        "a loop at rest is woken",
        "ygg/running/stalls.py",
        "frame.f_code in AT_REST",
        "frame.f_code is None",
        (f"{STALLS}::test_a_loop_at_rest_is_not_woken",),
    ),
    Mutant(
        "a loop at work is taken for one at rest",
        "ygg/running/stalls.py",
        "frame.f_code in AT_REST",
        "frame.f_code is not None",
        (f"{STALLS}::test_where_the_loop_stood_is_told",),
    ),
    Mutant(
        "a loop that stands still leaves no trace",
        "ygg/running/stalls.py",
        "        elif not alive.is_set():",
        "        elif False:",
        (f"{STALLS}::test_where_the_loop_stood_is_told",),
    ),
    Mutant(
        "memory of large bodies is kept",
        "ygg/running/memory.py",
        "mallopt(M_MMAP_THRESHOLD, LARGE)",
        "getpid()",
        ("tests/shell/test_limits_of_the_process.py",),
    ),
    Mutant(
        "the soft limit of descriptors stays",
        "ygg/running/descriptors.py",
        "    if soft != resource.RLIM_INFINITY and soft < wanted:",
        "    if False:",
        ("tests/shell/test_limits_of_the_process.py",),
    ),
    Mutant(
        "a prompt from standard input has no limit",
        "ygg/cli/submit.py",
        "files.whole(stream, DOCUMENT_MAX)",
        "stream.read()",
        (f"{SUBMITTING}::test_a_prompt_that_does_not_end_is_refused",),
    ),
]
