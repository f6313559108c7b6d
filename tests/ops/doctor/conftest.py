"""A database to look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.surface.cli import Cli


@pytest.fixture
def database(offline: Cli) -> Path:
    offline.submit("one")
    return offline.state / "ygg.db"
