"""TCP sockets for API and metrics, one for each address that hosts.yaml names."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from contextlib import ExitStack

from ygg.config.addresses import Address
from ygg.errors import Unavailable

_WHY = {
    errno.EADDRINUSE: "somebody listens there already",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "it takes root to listen below port 1024",
}


def bind(addresses: Iterable[Address]) -> list[socket.socket]:
    """A socket at each, not listening yet. Raises Unavailable, and keeps none, where one cannot be had."""
    with ExitStack() as stack:
        found = [stack.enter_context(_bound(address)) for address in addresses]
        stack.pop_all()
    return found


def _bound(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # or [::] would take what 0.0.0.0 means
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        why = _WHY.get(error.errno or 0, error.strerror or str(error))
        hint = f"ss -ltnp shows who; else another address in hosts.yaml, not {address}"
        raise Unavailable(f"cannot listen on {address}: {why}", hint=hint) from error
    sock.setblocking(False)
    return sock
