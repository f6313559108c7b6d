"""How much chance a test has."""

from __future__ import annotations

from hypothesis import settings

FULL = "full"  #: the profile of `make soak`


def examples(quick: int, full: int) -> int:
    """How many examples a test tries: `full` in `make soak`."""
    return full if settings.get_current_profile_name() == FULL else quick
