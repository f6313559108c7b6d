"""Signals of a run, from its first moment to its last: what comes too early is kept, what comes too late is
nothing. Standard library only: it begins before anything else is loaded."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Handlers = Mapping[signal.Signals, Callable[[], None]]

#: Would end a process that is not ready for them.
EARLY = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_kept: list[int] = []


def keep() -> None:
    """From now until somebody hears them."""
    for number in EARLY:
        signal.signal(number, lambda came, _: _kept.append(came))


@contextmanager
def heard(handlers: Handlers) -> Iterator[None]:
    """The running loop calls the handlers, for what was kept as well; others of EARLY mean nothing. Afterwards the signals are ignored: the
    run is ending, and nothing is gained by ending it in the middle of that."""
    from asyncio import get_running_loop

    loop = get_running_loop()

    def came(number: int, _: object) -> None:
        loop.call_soon_threadsafe(handlers[signal.Signals(number)])

    for number in EARLY:
        signal.signal(number, signal.SIG_IGN)
    for number in handlers:
        signal.signal(number, came)
    while _kept:
        loop.call_soon(handlers.get(signal.Signals(_kept.pop(0)), lambda: None))
    try:
        yield
    finally:
        for number in handlers:
            signal.signal(number, signal.SIG_IGN)
