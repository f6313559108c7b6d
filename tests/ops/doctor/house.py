"""What the tests of doctor share: a house with the servers they need, and its findings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.ops.fakes import answering
from tests.surface.cli import Cli

M = ("m", "8B", 1)


def found(cli: Cli, *args: str) -> list[dict[str, Any]]:
    checks_: list[dict[str, Any]] = cli("doctor", "--json", *args).json["checks"]
    return checks_


def one(cli: Cli, name: str) -> dict[str, Any]:
    """The finding of that name."""
    (check,) = [c for c in found(cli) if c["name"] == name]
    return check


def config(cli: Cli, *hosts: str, route: str = "[a]") -> None:
    """hosts.yaml with these host lines and one route."""
    lines = "\n".join(f"  {h}" for h in hosts)
    cli.config.write_text(f"hosts:\n{lines}\ntask_types:\n  general: {{route: {route}}}\n")


@contextmanager
def one_host(cli: Cli, pages: dict[str, Any], *, server: str = "", **host: Any) -> Iterator[int]:
    """hosts.yaml names one host `a`, which answers with these pages."""
    with answering(pages, server=server) as port:
        told = {"slots": 1, "backend": "ollama", "models": "[m]", **host}
        inner = ", ".join(f"{k}: {v}" for k, v in told.items())
        config(cli, f'a: {{{inner}, url: "http://127.0.0.1:{port}"}}')
        yield port
