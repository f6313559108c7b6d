"""Real servers under one real daemon, shared by all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.llama.gguf_model import SLOW, write_model
from tests.llama.programs import LlamaServer, Ollama, started
from tests.real.counting import counting
from tests.real.home import SLOTS, Home, settings


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """GGUF files: `a`, `b` and `c` are fast, `slow` says 60 tokens a second."""
    folder = tmp_path_factory.mktemp("gguf")
    files = {n: write_model(folder / f"{n}.gguf", seed=i) for i, n in enumerate("abc")}
    yield files | {"slow": write_model(folder / "slow.gguf", SLOW)}
    (folder / "slow.gguf").unlink()


@pytest.fixture(scope="session")
def ollama(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ollama]:
    """Two slots, one model in memory. `narrow` is `a` with a context of 256 tokens."""
    limits = {"OLLAMA_MAX_LOADED_MODELS": "1", "OLLAMA_NUM_PARALLEL": str(SLOTS)}
    with started(Ollama(tmp_path_factory.mktemp("ollama"), **limits)) as server:
        for name, file in models.items():
            server.create(name, file)
        server.create("narrow", models["a"], "PARAMETER num_ctx 256")
        yield server


@pytest.fixture(scope="session")
def llama(
    models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LlamaServer]:
    """Two slots, the slow model; a prompt is computed in one piece, which nothing interrupts."""
    pieces, log = ("-b", "4096", "-ub", "4096"), tmp_path_factory.mktemp("llama") / "log"
    with started(LlamaServer(models["slow"], "--metrics", *pieces, log=log)) as server:
        yield server


@pytest.fixture(scope="session")
def house(
    ollama: Ollama, llama: LlamaServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Home]:
    """A daemon over both, each with the proxy that counts its calls: hosts `ollama` and `llama`, and `box` with both."""
    folder = tmp_path_factory.mktemp("home")
    with ExitStack() as stack:
        urls = {"ollama": ollama.url, "llama": llama.url}
        urls |= {f"box_{name}": url for name, url in urls.items()}
        servers = {name: stack.enter_context(counting(url)) for name, url in urls.items()}
        path = folder / "hosts.yaml"
        path.write_text(settings({name: s.url for name, s in servers.items()}))
        running = Home(folder, path)
        running.servers = servers
        running.start()
        stack.callback(running.stop)
        yield running


@pytest.fixture
def home(house: Home) -> Iterator[Home]:
    """The daemon; what a test leaves in the queue is cancelled."""
    yield house
    house.clear()
