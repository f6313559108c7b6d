"""Is a model server on this machine, and can this machine's GPU be read?"""

from __future__ import annotations

import ctypes
import socket
from urllib.parse import urlsplit

LIBRARY = "libnvidia-ml.so.1"
#: What routers of homes put behind a machine's name.
DOMAINS = ("local", "lan", "home", "internal", "localdomain", "home.arpa", "fritz.box")


def is_here(url: str) -> bool:
    """Whether the server at that URL runs on this machine, as far as can be told without a name server."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    return host in _own_names() or _is_own_address(host)


def _own_names() -> set[str]:
    whole = socket.gethostname().lower()
    short = whole.partition(".")[0]
    return {"localhost", whole, short, *(f"{short}.{domain}" for domain in DOMAINS)} - {""}


def _is_own_address(host: str) -> bool:
    """Only an address of one's own can be bound to; names never get that far."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        packed = socket.inet_pton(family, host)
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
    except OSError:
        return False
    return any(packed)  # 0.0.0.0 and :: are no address of anyone


def has_driver() -> bool:
    """Whether NVIDIA's management library can be loaded. Wakes no GPU."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True
