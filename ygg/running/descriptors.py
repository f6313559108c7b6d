"""File descriptors: each connection takes one, and many systems start programs with 1,024."""

from __future__ import annotations

import contextlib
import resource

ENOUGH = 65_536


def raise_limit() -> int:
    """Allow this process as many as it may have, up to `ENOUGH`; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # a service may be forbidden to ask
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return allowed()


def allowed() -> int:
    """How many this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ENOUGH if soft == resource.RLIM_INFINITY else soft
