"""Server-sent events as the WHATWG standard reads them, from lines to the object of each event.

More is taken than the standard asks for: an object that stands in one `data:` line needs no blank line
after it, and an error that stands in a line of its own, as some servers and proxies write it, is one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ygg.backends import failures
from ygg.backends.reply import LINE_MAX
from ygg.backends.values import as_object
from ygg.model import JsonDict

MARK = "\ufeff".encode()
END = b"[DONE]"
ERROR = b"error"  #: the name of an event, and of a line of llama.cpp


@dataclass(slots=True)
class EventStream:
    """What the lines so far left behind. `ended`: the marker `[DONE]` came."""

    ended: bool = False
    strange: bytes = b""  #: the first line that is no field of an event
    _begun: bool = False
    _kind: bytes = b""
    _data: list[bytes] = field(default_factory=list)
    _size: int = 0

    def read(self, line: bytes) -> tuple[JsonDict, bytes] | None:
        """The object of the event that this line completes, and its text. Raises CallFailed for an error,
        and for an event that is no object."""
        if not self._begun:
            self._begun, line = True, line.removeprefix(MARK)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        if name == b"data":
            return self._add(value.removeprefix(b" "))
        if name == b"event":
            self._kind = value.strip()
        elif name == ERROR or line.startswith(b"{"):
            data = as_object(value if name == ERROR else line)
            if data is not None:
                self._checked(data, name)
            raise failures.malformed(line)
        elif name not in (b"", b"id", b"retry") and not self.strange:
            self.strange = line.strip()
        return None

    def _add(self, value: bytes) -> tuple[JsonDict, bytes] | None:
        """One `data:` line: an event by itself, or a part of one."""
        if not self._data:
            data = as_object(value)
            if data is not None:
                return self._checked(data), value.strip()
            self.ended = value.strip() == END
        if value.strip() and not self.ended:
            self._data.append(value)
            self._size += len(value)
        if self._size > LINE_MAX:
            raise failures.malformed(value)
        return None

    def _dispatch(self) -> tuple[JsonDict, bytes] | None:
        """A blank line: what came in several lines is an event now."""
        parts, kind = self._data, self._kind
        self._data, self._size, self._kind = [], 0, b""
        if not parts:
            return None
        data = as_object(b"\n".join(parts))
        if data is None:
            raise (
                failures.from_error({"error": parts[0].decode("utf-8", "replace")})
                if (kind == ERROR)
                else failures.malformed(b"\n".join(parts))
            )
        return self._checked(data, kind), b" ".join(parts)

    def _checked(self, data: JsonDict, kind: bytes = b"") -> JsonDict:
        """The object of an event. Raises CallFailed when it tells an error."""
        if data.get("error") or ERROR in (kind, self._kind) or data.get("object") == "error":
            raise failures.from_error(data)  # the last: vLLM before 0.10
        return data
