"""Addresses of model servers: what can be one, and what must not be asked.

An address in a private network or on this machine is where model servers are. That of a cloud's metadata service
answers anybody with the machine's credentials, and a number as a host is how such an address is hidden.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

LONGEST = 2000
SHAPE = "http://HOST:PORT or https://HOST:PORT without user, query and fragment"
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+")
#: Of most clouds, of containers, of AWS and Oracle over IPv6, of Alibaba, of Oracle before.
_METADATA_HOSTS = frozenset({"metadata.google.internal", "metadata.goog", "metadata"})
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254",
            "169.254.170.2",
            "fd00:ec2::254",
            "fd00:c1::a9fe:a9fe",
            "100.100.100.200",
            "192.0.0.192",
        ),
    )
)


class WrongUrl(ValueError):
    """No address of a model server. The text is what was expected; `hint` says why, where that is not plain."""

    def __init__(self, expected: str, hint: str = "") -> None:
        super().__init__(expected)
        self.hint = hint


def server_url(value: object) -> str:
    """The URL without slashes at its end. Raises WrongUrl."""
    if not isinstance(value, str) or len(value) > LONGEST or not re.fullmatch(r"[!-~]+", value):
        raise WrongUrl(SHAPE)
    try:
        parts = urlsplit(value)
        plain = not (parts.username or parts.query or parts.fragment or "@" in parts.netloc)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        plain = sound = False
    if not (plain and sound):
        raise WrongUrl(SHAPE)
    _check_host(parts.hostname or "")
    return value.rstrip("/")


def _check_host(host: str) -> None:
    address = _address(host)
    if address is not None:
        _check_address(address)
    elif _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        raise WrongUrl(
            "a name, or an address as four numbers from 0 to 255", f"{host:.60} is neither"
        )
    elif not _name(host.removesuffix(".")):
        raise WrongUrl("a name of a machine, such as surtr or surtr.lan", f"{host:.60} can be none")
    elif host.removesuffix(".") in _METADATA_HOSTS:
        raise WrongUrl(SERVER, METADATA)


SERVER = "the address of a model server"
METADATA = "a cloud's metadata service would be asked there"
LINK_LOCAL = "it is link-local: give the machine an address of its own"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _check_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    seen = mapped or address
    if seen in _METADATA:
        raise WrongUrl(SERVER, METADATA)
    if seen.version == 4 and seen.is_link_local:
        raise WrongUrl(SERVER, LINK_LOCAL)


def _name(host: str) -> bool:
    return len(host) <= 253 and all(map(_LABEL.fullmatch, host.split(".")))
