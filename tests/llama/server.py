"""Start and stop a real llama.cpp server in a child process."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

MISSING = importlib.util.find_spec("xllamacpp") is None
NEEDS = [
    pytest.mark.llama,
    pytest.mark.skipif(MISSING, reason="the xllamacpp wheel is not installed"),
]
#: One thread: with two, ggml's spin barrier makes busy cores thirty times slower.
PARAMS = {
    "n_ctx": 4096,
    "n_parallel": 2,
    "hostnames": ["127.0.0.1"],
    "port": 0,
    "cpuparams.n_threads": 1,
    "cpuparams_batch.n_threads": 1,
    "endpoint_metrics": True,
    "endpoint_slots": True,
    "cache_ram_mib": 0,
}


class Llama:
    """A child process. `url` is known once the model is loaded."""

    def __init__(self, model: Path, **params: Any) -> None:
        config = json.dumps({"model.path": str(model), **PARAMS, **params})
        command = [sys.executable, "-m", "tests.llama.serve", config]
        root = Path(__file__).resolve().parents[2]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=root,
        )
        self.model = str(model)
        self.url = ""

    def ready(self) -> str:
        """Wait until the model is loaded."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "llama.cpp ended before it was ready"
        self.url = json.loads(line)["url"]
        return self.url

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process.stdout.close()


@contextmanager
def running_llama(model: Path, *, wait: bool = True, **params: Any) -> Iterator[Llama]:
    """A llama.cpp server with this model file; gone when the block ends."""
    server = Llama(model, **params)
    try:
        if wait:
            server.ready()
        yield server
    finally:
        server.close()
