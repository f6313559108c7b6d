"""Servers and model files that all tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.llama.gguf_model import SLOW, write_model
from tests.llama.server import Llama, running_llama


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("llama") / "tiny.gguf")


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = write_model(tmp_path_factory.mktemp("llama") / "slow.gguf", SLOW)
    yield path
    path.unlink()


@pytest.fixture(scope="session")
def tiny(tiny_model: Path) -> Iterator[Llama]:
    """Fast, two slots of 2,048 tokens."""
    with running_llama(tiny_model) as server:
        yield server


@pytest.fixture(scope="session")
def slow(slow_model: Path) -> Iterator[Llama]:
    """About 75 tokens a second, two slots of 2,048 tokens."""
    with running_llama(slow_model) as server:
        yield server
