"""Fixtures: the command line without and with a daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.surface.cli import Cli
from tests.surface.world import Api, served


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


@pytest.fixture
def home(offline: Cli) -> Iterator[Api]:
    """The daemon that `cli` reaches."""
    with served(offline.socket) as found:
        yield found


@pytest.fixture
def cli(offline: Cli, home: Api) -> Cli:
    return offline
