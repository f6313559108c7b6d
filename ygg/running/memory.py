"""Memory that a large body took goes back to the system when it is done with; what stays is not looked through for ever."""

from __future__ import annotations

import contextlib
import gc

M_MMAP_THRESHOLD = -3  #: of malloc.h
LARGE = 131_072  #: bytes; what is larger is mapped for itself, and unmapped when it is freed


def give_back_large_blocks() -> None:
    """glibc raises this bound with each large block that is freed, and then keeps what it frees."""
    with contextlib.suppress(
        ImportError, OSError, AttributeError, MemoryError
    ):  # another C library
        import ctypes

        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)


def spare_what_stays() -> None:
    """What is there when a daemon is ready is there at its end. The collector need not look through it each time, which
    takes the loop 50 ms."""
    gc.collect()
    gc.freeze()
