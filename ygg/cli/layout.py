"""Tables and sentences laid out for a terminal of any width: nothing is cut.

Columns stand beside each other where they fit. Else the last cell of a row, which is its text, stands on lines of its
own below it; where the others do not fit either, each row is a block of names and values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ygg.view.text import fit, width, wrapped

GAP = 2
TEXT = 16  #: columns that a value has at least beside its name
HUNG = "    "
ROWS = 1_000_000  #: of a text: all that it takes


def table(header: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> Iterator[str]:
    """The lines of a table; `room` 0: as wide as it gets."""
    columns = [max(width(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    ahead = sum(columns[:-1]) + GAP * (len(columns) - 1)
    if room and ahead > room + GAP:
        for row in rows:
            yield from _block(header, row, room)
        return
    for row in (header, *rows):
        padded = [fit(cell, w) for cell, w in zip(row[:-1], columns[:-1], strict=True)]
        if not room or ahead + width(row[-1]) <= room:
            yield (" " * GAP).join([*padded, row[-1]]).rstrip()
        else:
            yield (" " * GAP).join(padded).rstrip()
            hung = row[-1] if row is not header else ""
            yield from (HUNG + part for part in wrapped(hung, room - len(HUNG), ROWS))


def _block(header: Sequence[str], row: Sequence[str], room: int) -> Iterator[str]:
    """What the row is called, then its cells by name, as many to a line as fit."""
    yield from wrapped(row[0], room, ROWS)
    line = ""
    for name, cell in zip(header[1:], row[1:], strict=True):
        pair = f"{name} {cell}" if cell else ""
        if line and width(line) + GAP + width(pair) > room - GAP:
            yield from sentence(line, room, " " * GAP)
            line = ""
        line = f"{line}{' ' * GAP if line else ''}{pair}" if pair else line
    if line:
        yield from sentence(line, room, " " * GAP)


def sentence(text: str, room: int, indent: str = "") -> Iterator[str]:
    """Broken between words; further lines are indented by two more."""
    if not room or width(indent + text) <= room:
        yield indent + text
        return
    hung = indent + " " * GAP
    first, *_ = wrapped(text, room - len(indent), ROWS)
    yield indent + first
    yield from (
        hung + part for part in wrapped(text[len(first) :].lstrip(), room - len(hung), ROWS)
    )


def field(name: str, text: str, names: int, room: int) -> Iterator[str]:
    """A name and what is said of it, beside it or, where that is too narrow, below."""
    if not room or names + width(text) <= room:
        yield f"{name:<{names}}{text}"
    elif room - names >= TEXT:
        for n, part in enumerate(wrapped(text, room - names, ROWS)):
            yield f"{'' if n else name:<{names}}{part}"
    else:
        yield name
        yield from sentence(text, room, " " * GAP)
