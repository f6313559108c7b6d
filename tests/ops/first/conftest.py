"""A home without hosts.yaml, on a network without anybody."""

from __future__ import annotations

import pytest

from tests.ops.fakes import free_port
from tests.surface.cli import Cli
from ygg.ops.first import discovery, networks


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test looks at the real network, or at servers that happen to run here."""
    monkeypatch.setattr(networks, "local", list)
    monkeypatch.setattr(networks, "addresses", list)
    monkeypatch.setattr(discovery, "PORTS", (free_port(),))


@pytest.fixture
def fresh(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A home without hosts.yaml."""
    offline.config.unlink()
    monkeypatch.chdir(offline.folder)
    return offline
