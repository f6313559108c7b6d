"""Addresses that the API may listen on, and who can reach it there. Standard library only.

One on the loopback interface is reached from this machine alone. Every other one, the wildcards included, is open to
whoever is in the network.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from ygg.errors import ConfigError
from ygg.model import Api

SHAPE = "ADDRESS:PORT such as 127.0.0.1:8420, 0.0.0.0:8420 or [::1]:8420"
_WRITTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+|localhost)):([1-9][0-9]{0,4})")


class Address(NamedTuple):
    """Of a machine's own; `host` as `ipaddress` writes it."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone can connect."""
        return is_loopback(self.host)

    @property
    def is_any(self) -> bool:
        """Whether it stands for all addresses of the machine."""
        return ipaddress.ip_address(self.host).is_unspecified


@lru_cache(256)  # asked by every request
def is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def address(text: str) -> Address:
    """`127.0.0.1:8420` in its parts; `localhost` is 127.0.0.1. Raises ValueError."""
    found = _WRITTEN.fullmatch(text)
    if found is None or int(found[3]) > 65535:
        raise ValueError(SHAPE)
    host = found[1] or found[2].replace("localhost", "127.0.0.1")
    kind = ipaddress.IPv6Address if found[1] else ipaddress.IPv4Address
    try:
        return Address(str(kind(host)), int(found[3]))
    except ValueError:
        raise ValueError(SHAPE) from None


def open_to_others(listen: Iterable[str]) -> list[str]:
    """Those of the addresses that other machines can connect to."""
    return [text for text in listen if not address(text).is_loopback]


def exposed(api: Api) -> str | None:
    """What is said of addresses where nobody is asked who he is; None where there are none."""
    found = open_to_others(api.listen) if api.insecure and not api.require_token else []
    return f"anybody in the network may do everything at {' and '.join(found)}" if found else None


def refuse_open(api: Api, tokens: Callable[[], bool]) -> None:
    """Raises ConfigError where other machines could connect, and nobody has a token that lets him in, as `tokens` says
    when it is asked. A JWT is one."""
    found = [] if api.insecure or api.jwt is not None else open_to_others(api.listen)
    if found and not tokens():
        raise ConfigError(
            f"api.listen: {found[0]} is open to other machines, and there is no token that would let anybody in",
            hint="ygg token create NAME; or listen on 127.0.0.1 alone",
        )
