"""What the tests of `ygg init` share: servers to be found, and the file that comes of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.ops.fakes import GB, answering
from tests.surface.cli import Cli
from ygg import config
from ygg.ops.first import discovery
from ygg.ops.first.discovery import Machine, Place, Server
from ygg.ops.threads import run_without_waiting

QWEN, CODER = ("qwen3:8b", "8.2B", 5 * GB), ("qwen2.5-coder:3b", "3.1B", 2 * GB)
GEMMA, EMBED = ("gemma3:4b", "4.3B", 3 * GB), ("nomic-embed-text", "137M", GB // 4)


@contextmanager
def here(*pages: dict[str, Any], server: str = "") -> Iterator[tuple[int, ...]]:
    """Servers on this machine, on the ports that are looked at."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        ports = tuple(stack.enter_context(answering(p, server=server)) for p in pages)
        patch.setattr(discovery, "PORTS", ports)
        yield ports


def found(*where: Place) -> list[Machine]:
    return run_without_waiting(discovery.discover(where))


def only(pages: dict[str, Any], server: str = "") -> Server:
    with answering(pages, server=server) as port:
        (machine,) = found(Place("127.0.0.1", port))
    (one,) = machine.servers
    return one


def written(cli: Cli) -> config.Config:
    """The file, as `ygg config check` reads it."""
    cli.ok("config", "check")
    return config.load(cli.config)


def init(cli: Cli, *args: str, code: int = 0, **more: Any) -> str:
    ran = cli("init", *args, **{"stdin": "", **more})
    assert ran.code == code, ran
    assert "Traceback" not in ran.err
    return ran.out + ran.err
