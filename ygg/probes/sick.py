"""What nvidia-smi says of a card that is sick, as lines among those of the others. Pure: text in, rows out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from ygg.model import Device
from ygg.probes import smi
from ygg.probes.smi import Query, Row

LIST = "nvidia-smi -L"
#: What it may say in the place of all rows when it cannot open one of the cards.
COMPLAINT = re.compile(
    r"Unable to determine the device handle for (?:GPU|gpu) ?([0-9A-Fa-f:.]+): (.*)"
)
WORDS = frozenset({"uuid", "pci.bus_id", "name"})
UNLISTED = "nvidia-smi does not list it"


def row(query: Query, line: str, why: str) -> Row:
    """Of a line that `query.row` refuses for `why`: the values that can be read, else whose it is. The uuid is
    "" where nothing tells."""
    values = line.split(",")
    if len(values) == len(query.fields):
        pairs = zip(query.fields, values, strict=True)
        readable = ",".join(value if _readable(name, value) else "" for name, value in pairs)
        with suppress(ValueError):
            return _blamed(query.row(readable), why)
    found = smi.UUID.search(smi.plain(values[0]))
    return Row(Device(found[0] if found else "", error=why))


def _readable(name: str, value: str) -> bool:
    masks = (smi.REASONS, *smi.OLD_NAMES.values())
    try:
        smi.bits(value) if name in masks else name in WORDS or smi.number(value)
    except ValueError:
        return False
    return True


def _blamed(found: Row, why: str) -> Row:
    """A card that tells its heat is read, whatever else of its line is not."""
    if found.device.temperature_c is not None:
        return found
    return replace(found, device=replace(found.device, error=why))


@dataclass(frozen=True, slots=True)
class Complaint:
    """About one card. Its domain may have four digits here and eight in the rows."""

    bus_id: str
    text: str

    def about(self, row: Row) -> bool:
        return row.bus_id.lstrip("0") == self.bus_id.upper().lstrip("0")


def complaint(line: str) -> Complaint | None:
    found = COMPLAINT.search(line)
    return Complaint(found[1].rstrip(":."), smi.plain(found[2].rstrip("."), 100)) if found else None


def uuids(text: str) -> tuple[str, ...]:
    """Of the cards that LIST can open."""
    return tuple(smi.UUID.findall(text))


def whole(rows: Iterable[Row], known: Mapping[int, Row], said: Complaint | None) -> tuple[Row, ...]:
    """The rows of a moment, and those of the cards that are missing in it, as lost ones. `known`: the rows of
    earlier moments, by index; `said`: what it complained about."""
    found, strange = dict[int, Row](), ""
    for row in rows:
        index = _index(row, known)
        if index is None:
            strange = row.device.error
        else:
            found[index] = row
    count = max((row.count or 0 for row in found.values()), default=0)
    for index in set(range(count)) - found.keys():
        found[index] = Row(Device("", error=strange or (said.text if said else UNLISTED)))
    return tuple(_named(found[index], index, known.get(index)) for index in sorted(found))


def _index(row: Row, known: Mapping[int, Row]) -> int | None:
    """None for a line of which nobody knows whose it is."""
    if row.count is not None or not row.device.error:
        return row.device.index
    return next((n for n, r in known.items() if r.device.uuid == row.device.uuid), None)


def _named(row: Row, index: int, before: Row | None) -> Row:
    """A lost card keeps its name."""
    if not row.device.error:
        return row
    uuid, name = (before.device.uuid, before.device.name) if before else (f"GPU {index}", "")
    named = replace(row.device, index=index, uuid=uuid, name=row.device.name or name)
    return replace(row, device=named)
