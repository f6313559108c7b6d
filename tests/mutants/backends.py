"""Planted bugs in the backends and the attempt chain."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: list[Mutant] = [
    Mutant(
        "a stream without its end marker is a success",
        "ygg/backends/ollama.py",
        "raise failures.unfinished()",
        "last = {}",
        ("tests/contract/test_backend.py::test_each_fault_has_its_meaning[ollama-eof]",),
    ),
    Mutant(
        "an SSE stream without a finish reason is a success",
        "ygg/backends/openai.py",
        "raise failures.unfinished()",
        'self.stop_reason = "stop"',
        ("tests/contract/test_backend.py::test_each_fault_has_its_meaning[vllm-eof]",),
    ),
    Mutant(
        "an error before [DONE] is a success",
        "ygg/backends/openai.py",
        'raise failures.from_error(data["error"])',
        "return {}",
        ("tests/backends/test_openai.py",),
    ),
    Mutant(
        "out-of-memory texts are not known",
        "ygg/backends/failures.py",
        "if status >= 500 and any(t in text for t in OUT_OF_MEMORY):",
        "if False:",
        ("tests/contract/test_backend.py::test_each_fault_has_its_meaning[ollama-oom]",),
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
        ("tests/shell/test_calls.py",),
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
        ("tests/backends/test_openai.py",),
    ),
    Mutant(
        "a wrong model's answer is taken",
        "ygg/backends/openai.py",
        "if model and self.wanted and not names.same(model, self.wanted, LLAMA_CPP):",
        "if False:",
        ("tests/backends/test_openai.py",),
    ),
    Mutant(
        "long prompts are cut silently",
        "ygg/backends/ollama.py",
        '"truncate": False',
        '"truncate": True',
        ("tests/backends/test_ollama.py",),
    ),
]
