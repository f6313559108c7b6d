"""Real programs of Ollama and llama.cpp, started by tests and ended by their process ids.

`$YGG_TEST_OLLAMA` and `$YGG_TEST_LLAMA_SERVER` name them; a test that needs one which is not named is skipped.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from tests.system.rig import until

#: One thread: with two, ggml's spin barrier makes busy cores thirty times slower.
THREADS = 1


def tool(name: str) -> str:
    """The program that a variable of the environment names; without it the test is skipped."""
    found = os.environ.get(name)
    if not found:
        pytest.skip(f"${name} names no program")
    return found


P = TypeVar("P", bound="Program")


class Program:
    """A server on a port that it keeps when it is started again; PORT stands for it in `command` and `env`."""

    def __init__(
        self, *command: str, ready: str, env: Mapping[str, str] = {}, log: Path | None = None
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = os.environ | {k: v.replace("PORT", self.port) for k, v in env.items()}
        self.log = log or Path(os.devnull)
        self._command = [part.replace("PORT", self.port) for part in command]
        self._ready = ready
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(self._command, env=self.env, stdout=out, stderr=out)
        until(self.answers, 30, f"{self._command[0]} answers")

    def answers(self) -> bool:
        try:
            return httpx.get(self.url + self._ready, timeout=1).status_code == 200
        except httpx.HTTPError:
            return False

    @property
    def children(self) -> list[int]:
        """Processes that it has started."""
        assert self.process is not None
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for file in threads for pid in file.read_text().split()]

    def kill(self) -> None:
        """SIGKILL, for its children too: they would outlive it."""
        assert self.process is not None
        for pid in (*self.children, self.process.pid):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(20)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def started(program: P) -> Iterator[P]:
    """It runs until the block ends."""
    try:
        program.start()
        yield program
    finally:
        program.stop()


@contextmanager
def running(*command: str, ready: str, env: Mapping[str, str]) -> Iterator[str]:
    """The URL of a server that ends with the block."""
    with started(Program(*command, ready=ready, env=env)) as program:
        yield program.url


class Ollama(Program):
    """`ollama serve` over a folder of its own; `more` are variables of its environment."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.folder, self.program = folder, tool("YGG_TEST_OLLAMA")
        places = {
            "OLLAMA_MODELS": f"{folder}/models",
            "HOME": str(folder),
            "OLLAMA_HOST": "127.0.0.1:PORT",
        }
        super().__init__(
            self.program, "serve", ready="/api/version", env=places | more, log=folder / "log"
        )

    def create(self, name: str, file: Path, more: str = "") -> None:
        """A model from a GGUF file. Models of one content share one runner."""
        text = f"FROM {file}\nPARAMETER num_thread {THREADS}\n{more}\n"
        (self.folder / "Modelfile").write_text(text)
        subprocess.run(
            [self.program, "create", name, "-f", "Modelfile"], cwd=self.folder, check=True,
            env=self.env, capture_output=True,
        )  # fmt: skip

    @property
    def loads(self) -> int:
        """How many runners it has started."""
        return len(re.findall(r"starting llama-server", self.log.read_text()))


class LlamaServer(Program):
    """llama.cpp's server with one model, two slots and `more` arguments."""

    def __init__(self, model: Path, *more: str, log: Path | None = None) -> None:
        super().__init__(
            tool("YGG_TEST_LLAMA_SERVER"), "-m", str(model), "--port", "PORT", "-np", "2",
            "-c", "8192", "-t", str(THREADS), "-tb", str(THREADS), "--cache-ram", "0", *more,
            ready="/health", log=log,
        )  # fmt: skip

    @property
    def working(self) -> set[int]:
        """Its own numbers of the requests that slots work on."""
        slots = httpx.get(f"{self.url}/slots", timeout=5).json()
        return {slot["id_task"] for slot in slots if slot["is_processing"]}


def cpu_ticks(pid: int) -> int:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
