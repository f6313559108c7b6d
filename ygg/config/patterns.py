"""Regular expressions of hosts.yaml: RE2 matches them in time that is linear in the title, whatever they say.

RE2 is loaded with the first one: most configurations have none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Protocol

HELD = 1024  #: compiled ones that are kept; more than any hosts.yaml has


class Pattern(Protocol):
    """One that was compiled."""

    def search(self, text: str) -> object:
        """None when it is found nowhere."""
        ...


#: How RE2's word for what it does not take ends, and what is wrong with it.
_REFUSED = (
    (r"\(\?<?[=!]$", "look-around takes unbounded time: match without it"),
    (r"\(\?P$|\\[1-9g]$", "back-references take unbounded time: match without them"),
    (r"\\Z$", r"the end of the title is \z or $"),
)


@lru_cache(HELD)
def compiled(pattern: str) -> Pattern:
    """Ready to search, upper and lower case alike. ValueError, in words, for what RE2 does not take."""
    import re2

    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False  # it would write to stderr
    try:
        found: Pattern = re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(_words(error.args[0].decode("utf-8", "replace"))) from None
    return found


def _words(told: str) -> str:
    known = next((words for end, words in _REFUSED if re.search(end, told)), "")
    return f"{known} ({told})" if known else told
