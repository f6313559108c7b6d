"""What a planted bug is."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """One bug: an exact edit and the tests of which at least one must fail.

    `old` must stand exactly once in `file`; the tests are arguments of pytest.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
