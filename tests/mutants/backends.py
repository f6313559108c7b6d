"""Planted bugs in the backends and the attempt chain."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: list[Mutant] = [
    Mutant(
        "a stream without its end marker is a success",
        "ygg/backends/ollama.py",
        "raise failures.unfinished()",
        "last = {}",
        ("tests/contract/test_backend.py::test_each_fault_has_its_meaning[eof-ollama]",),
    ),
    Mutant(
        "an SSE stream without a finish reason is a success",
        "ygg/backends/events.py",
        "raise self._unfinished()",
        'self.stop_reason = "stop"',
        ("tests/contract/test_backend.py::test_each_fault_has_its_meaning[eof-vllm]",),
    ),
    Mutant(
        "an error before [DONE] is a success",
        "ygg/backends/sse.py",
        "raise failures.from_error(data)",
        "return {}",
        ("tests/backends/test_openai.py::test_an_error_before_done_is_no_success",),
    ),
    Mutant(
        "out-of-memory texts are not known",
        "ygg/backends/failures.py",
        "if status >= 500 and exhausted(text):",
        "if False:",
        ("tests/contract/test_backend.py::test_each_fault_has_its_meaning[oom-ollama]",),
    ),
    Mutant(
        "Retry-After is not read",
        "ygg/backends/failures.py",
        "later = retry_after_s(headers) if status >= 400 else None",
        "later = None",
        ("tests/contract/test_backend.py::test_the_time_to_come_back_is_kept",),
    ),
    Mutant(
        "the total time has no limit",
        "ygg/running/calls.py",
        "limit.reschedule(self.total_by if deadline is None else min(self.total_by, deadline))",
        "pass",
        ("tests/shell/test_calls.py::test_the_total_limit_stops_the_call",),
    ),
    Mutant(
        "a broken connection blames the task",
        "ygg/running/calls.py",
        "if not failure.broken:",
        "if True:",
        ("tests/shell/test_calls.py",),
    ),
    Mutant(
        "a closing server's connection is used again",
        "ygg/backends/openai.py",
        "reuse=endpoint.dialect == VLLM",
        "reuse=True",
        ("tests/backends/test_openai.py::test_a_connection_to_llama_cpp_serves_one_call",),
    ),
    Mutant(
        "a wrong model's answer is taken",
        "ygg/backends/openai.py",
        "if not model or not wanted or names.answers(wanted, model, dialect):",
        "if True:",
        ("tests/backends/test_openai.py",),
    ),
    Mutant(
        "long prompts are cut silently",
        "ygg/backends/ollama.py",
        '"truncate": False',
        '"truncate": True',
        ("tests/backends/test_ollama.py",),
    ),
    Mutant(
        "a role or a ping counts as the first token",
        "ygg/model/answers.py",
        "        if self.content or self.thinking:\n",
        "        if True:\n",
        (
            "tests/backends/test_openai.py::test_a_role_or_a_ping_is_no_token",
            "tests/backends/test_ollama.py::test_a_line_that_says_nothing_is_no_token",
        ),
    ),
    Mutant(
        "time in which nobody reads counts as the server's",
        "ygg/backends/reply.py",
        "        begun = self._now()\n        try:",
        "        begun, self.last = getattr(self, 'last', self._now()), self._now()\n        try:",
        ("tests/contract/test_backend.py::test_time_in_which_nobody_reads_counts_to_no_limit",),
    ),
    Mutant(
        "parallel tool calls of an Ollama run together",
        "ygg/backends/said.py",
        "        if self.whole:\n",
        "        if False:\n",
        (
            "tests/backends/test_ollama.py"
            "::test_parallel_tool_calls_are_told_apart_even_when_all_have_number_0",
        ),
    ),
    Mutant(
        "tool calls without an index run together",
        "ygg/backends/said.py",
        "self._places.get(known_as, self._last + 1) if known_as else max(0, self._last)",
        "0",
        (
            "tests/backends/test_openai.py"
            "::test_tool_calls_without_an_index_are_told_apart_by_their_ids",
        ),
    ),
    Mutant(
        "a prompt to complete is put into the template",
        "ygg/backends/ollama.py",
        "raw=True",
        "raw=False",
        ("tests/backends/test_ollama.py",),
    ),
    Mutant(
        "vectors are taken in the order they come",
        "ygg/backends/events.py",
        'key=lambda row: as_count(row.get("index")) or 0',
        "key=lambda row: 0",
        ("tests/backends/test_openai.py",),
    ),
    Mutant(
        "vectors are not counted",
        "ygg/backends/values.py",
        "if len(rows) != texts:",
        "if False:",
        ("tests/backends/test_ollama.py::test_vectors_that_are_none_are_an_error",),
    ),
    Mutant(
        "the servers' frames are always kept",
        "ygg/backends/events.py",
        "frame = payload if self.frames else None",
        "frame = payload",
        ("tests/contract/test_backend.py::test_the_servers_own_frames_come_only_when_asked_for",),
    ),
    Mutant(
        "only the first of several tool calls is kept",
        "ygg/running/message.py",
        "self._tools.setdefault(delta.place, [])",
        "self._tools.setdefault(0, [])",
        ("tests/backends/test_openai.py",),
    ),
    Mutant(
        "an answer of tool calls alone is no answer",
        "ygg/running/calls.py",
        "tool_calls=message.tool_calls,",
        "tool_calls=message.tool_calls if message.content else (),",
        ("tests/surface/test_cli_submit.py::test_an_answer_of_tool_calls_alone_is_a_good_one",),
    ),
    Mutant(
        "an embedding takes a system prompt",
        "ygg/intake/schemas.py",
        "        for key in NOT_FOR.get(operation, ()):",
        "        for key in ():",
        ("tests/intake/test_documents.py",),
    ),
    Mutant(
        "vectors are stored in short",
        "ygg/stores/sqlite/rows.py",
        "dumps(result.embeddings) if",
        "dumps([[round(n, 6) for n in v] for v in result.embeddings]) if",
        ("tests/contract/test_queue.py::test_a_message_is_kept_whole",),
    ),
    Mutant(
        "an old database's results cannot be read",
        "ygg/stores/sqlite/reader.py",
        "_RESULT if whole else _PLAIN_RESULT",
        "_RESULT",
        ("tests/stores/test_migration.py",),
    ),
]
