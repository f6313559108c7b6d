"""Frozen records to plain JSON values and back, by their type hints.

For records that both ends of a connection know (the snapshot of `ygg top`). Records become objects, tuples
lists, mappings lists of pairs; enums and strings travel as they are. Unknown keys are ignored and missing
ones take the field's default, so that an older and a newer ygg understand each other.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """A record as what `json.dumps` takes."""
    if isinstance(value, str | int | float | None):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {name: to_plain(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, Mapping):
        return [[to_plain(k), to_plain(v)] for k, v in value.items()]
    return [to_plain(v) for v in value]


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind))


def from_plain(kind: type[T], value: Any) -> T:
    """The record again. Raises TypeError, ValueError or KeyError for what is none."""
    built: T = _reader(cast("Hashable", kind))(value)
    return built


@cache
def _reader(kind: Hashable) -> Callable[[Any], Any]:
    """How to read a value of this type, worked out once."""
    origin, parts = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _record_reader(kind)
    if origin in (Union, types.UnionType):
        (inner,) = (p for p in parts if p is not type(None))
        read = _reader(inner)
        return lambda v: None if v is None else read(v)
    if origin is tuple:
        return _tuple_reader(parts)
    if origin is not None and issubclass(origin, Mapping):
        key, item = map(_reader, parts)
        return lambda v: {key(k): item(i) for k, i in v}
    return kind if isinstance(kind, type) and issubclass(kind, Enum) else lambda v: v


def _record_reader(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    reads = {name: _reader(hints[name]) for name in _names(kind)}
    return lambda v: kind(**{name: read(v[name]) for name, read in reads.items() if name in v})


def _tuple_reader(parts: tuple[Any, ...]) -> Callable[[Any], Any]:
    if parts[-1] is Ellipsis:
        item = _reader(parts[0])
        return lambda v: tuple(item(i) for i in v)
    reads = [_reader(p) for p in parts]
    return lambda v: tuple(read(i) for read, i in zip(reads, v, strict=True))
