"""What a service is told by systemd and tells it: sd_notify(3), one datagram per message.

Without a service manager every message goes nowhere; nothing here ever raises into the daemon.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import MutableMapping

log = logging.getLogger("ygg.notify")

SEND_S = 1.0  #: how long a datagram may wait for a busy service manager


class Notifier:
    """The way to the service manager, and how often it wants to hear that all is well."""

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s if address else None  #: None: nobody watches

    @classmethod
    def taken_from(cls, env: MutableMapping[str, str]) -> Notifier:
        """The notifier `env` describes. Its variables are removed: no child may speak for us."""
        address = env.pop("NOTIFY_SOCKET", None)
        every, pid = env.pop("WATCHDOG_USEC", ""), env.pop("WATCHDOG_PID", "")
        watched = every.isdecimal() and int(every) > 0 and pid in ("", str(os.getpid()))
        return cls(address, int(every) / 1e6 if watched else None)

    def __bool__(self) -> bool:
        return bool(self._address)

    def send(self, **fields: str | int) -> None:
        """One message. Line breaks inside a value become blanks."""
        if not self._address:
            return
        lines = [f"{name}={' '.join(str(value).splitlines())}" for name, value in fields.items()]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(SEND_S)
                sock.sendto("\n".join(lines).encode("utf-8", "replace"), _path(self._address))
        except (OSError, ValueError) as error:  # ValueError: the address is no path at all
            log.debug("the service manager was not told %s: %s", ", ".join(fields), error)

    def starting(self, limit_s: float, status: str) -> None:
        """The start may take this long: a large database is checked and migrated first."""
        self.send(EXTEND_TIMEOUT_USEC=_micros(limit_s), STATUS=status)

    def ready(self, status: str) -> None:
        self.send(READY=1, STATUS=status)

    def status(self, text: str) -> None:
        self.send(STATUS=text)

    def stopping(self, extend_s: float, status: str) -> None:
        """Also said again and again while it lasts: each time gives `extend_s` more."""
        self.send(STOPPING=1, EXTEND_TIMEOUT_USEC=_micros(extend_s), STATUS=status)

    def reloading(self) -> None:
        """To be followed by `ready`."""
        self.send(RELOADING=1, MONOTONIC_USEC=time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)

    def watchdog(self) -> None:
        self.send(WATCHDOG=1)


def _path(address: str) -> bytes:
    """A socket's path; `@name` is one in the abstract namespace."""
    path = os.fsencode(address)
    return b"\0" + path[1:] if path.startswith(b"@") else path


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)
