"""Which private networks this machine is on: where `ygg init` may look, if it is allowed to."""

from __future__ import annotations

import fcntl
import socket
import struct
from ipaddress import AddressValueError, IPv4Address, IPv4Network

LIMIT = 3  #: networks looked at; a machine with more has virtual ones
#: Interfaces of containers and virtual machines: nobody's model server is found there from here.
VIRTUAL = ("docker", "br-", "veth", "virbr", "cni", "flannel", "cali", "podman", "lxc", "vnet")
SIOCGIFADDR = 0x8915


def addresses() -> list[IPv4Address]:
    """This machine's IPv4 addresses, one of each interface, loopback left out."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            address = _address(sock, name)
            if address is not None and not name.startswith(VIRTUAL) and not address.is_loopback:
                found.append(address)
    return found


def _address(sock: socket.socket, interface: str) -> IPv4Address | None:
    """Of an interface, or None: it has none, or the system knows no such question."""
    request = struct.pack("256s", interface.encode()[:15])
    try:
        answer = fcntl.ioctl(sock.fileno(), SIOCGIFADDR, request)
        return IPv4Address(answer[20:24])
    except (OSError, AddressValueError):
        return None


def local() -> list[IPv4Network]:
    """The /24 around each private address. Public networks are never looked at."""
    private = (a for a in addresses() if a.is_private and not a.is_link_local)
    around = (IPv4Network((int(a) & 0xFFFFFF00, 24)) for a in private)
    return list(dict.fromkeys(around))[:LIMIT]
