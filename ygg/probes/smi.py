"""What nvidia-smi prints -> rows and devices. Pure: text in, `model` out.

Every field may be absent, under many names; an absent one is None and hides no other. Text that is no
answer to the question raises ValueError, which quotes what was seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ygg.model import Device, Process

#: What is asked of each GPU. Newer drivers know all of them, in this spelling.
FIELDS = (
    "uuid", "index", "count", "pci.bus_id", "name", "memory.total", "memory.free", "temperature.gpu",
    "temperature.gpu.tlimit", "clocks_event_reasons.active", "power.draw", "utilization.gpu",
)  # fmt: skip
REASONS = "clocks_event_reasons.active"
OLD_NAMES = {REASONS: "clocks_throttle_reasons.active"}
NEEDED = frozenset({"uuid", "index", "memory.total", "memory.free", "temperature.gpu"})
PLAIN = "--format=csv,noheader,nounits"
LIMITS = "nvidia-smi -q -d TEMPERATURE"
PROCESSES = f"nvidia-smi --query-compute-apps=pid,process_name,used_memory {PLAIN}"

BLANK = 2**63 - 64  #: DCGM and NVML fill in numbers from here on where there is none
ABSENT = frozenset(
    {
        "", "n/a", "not supported", "not available", "not found", "unknown error", "gpu is lost",
        "insufficient permissions", "function not found", "requested functionality has been deprecated",
    }
)  # fmt: skip
UNSUPPORTED = frozenset({"n/a", "not supported"})
NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?)(?: ?(?:MiB|%|W|C))?")
INVALID = re.compile(r'Field "([^"]+)" is not a valid field to query')
CARD = re.compile(r"GPU ([0-9A-Fa-f]+:[0-9A-Fa-f]+:[0-9A-Fa-f]+\.[0-9A-Fa-f]+)\s*$")
#: Not the "T.Limit" lines of newer cards: those are degrees below a limit, 0 or less.
MAXIMUM = re.compile(r"\s*GPU Max Operating Temp(?: Specification)?\s*: (\d+) C\s*$")
UUID = re.compile(r"GPU-[0-9A-Za-z-]+")
SILENT = "nvidia-smi tells neither its memory nor its temperature"
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")


# --- single values ------------------------------------------------------------------------------------


def _bare(token: str) -> str:
    return token.strip().removeprefix("[").removesuffix("]").lower()


def _absent(token: str) -> bool:
    """Any word in brackets stands for a missing value, those of drivers to come included."""
    text = token.strip()
    return (text.startswith("[") and text.endswith("]")) or _bare(text) in ABSENT


def number(token: str) -> float | None:
    """A number with or without its unit; None where the card does not tell. ValueError for other text."""
    if _absent(token):
        return None
    found = NUMBER.fullmatch(token.strip())
    if found is None:
        raise ValueError(f"not a number: {plain(token, 40)!r}")
    value = float(found[1])
    return value if value < BLANK else None


def bits(token: str) -> int | None:
    """A hexadecimal mask; None and ValueError as `number`."""
    if _absent(token):
        return None
    try:
        value = int(token.strip(), 16)
    except ValueError:
        raise ValueError(f"not a mask: {plain(token, 40)!r}") from None
    return value if 0 <= value < BLANK else None


def plain(foreign: str, most: int = 200) -> str:
    """Text of a remote machine on one line, without escape codes, cut."""
    words = " ".join(ESCAPES.sub("", foreign).split())
    text = "".join(c for c in words if c.isprintable())
    return text if len(text) <= most else f"{text[: most - 1]}…"


# --- GPUs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One line: one GPU at one moment. `count`: how many GPUs the machine has, where it tells."""

    device: Device
    bus_id: str = ""
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """Which fields are asked for, by the names the driver there knows; `only`: of which cards, by uuid, all
    of them when empty."""

    fields: tuple[str, ...] = FIELDS
    only: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        cards = f" -i {','.join(self.only)}" if self.only else ""
        return f"nvidia-smi --query-gpu={','.join(self.fields)} {PLAIN}{cards}"

    def instead(self, complaint: str) -> Query | None:
        """What to ask a driver that refused this with `complaint`; None when it would not help."""
        found = INVALID.search(complaint)
        name = found[1] if found else REASONS
        if name not in self.fields or name in NEEDED:
            return None
        other = (OLD_NAMES[name],) if name in OLD_NAMES else ()
        at = self.fields.index(name)
        return replace(self, fields=(*self.fields[:at], *other, *self.fields[at + 1 :]))

    def row(self, line: str) -> Row:
        """The GPU that a line of the answer describes. Raises ValueError."""
        values = line.split(",")
        if len(values) != len(self.fields):
            raise ValueError(
                f"expected {len(self.fields)} values, got {len(values)}: {plain(line, 120)!r}"
            )
        new = {old: name for name, old in OLD_NAMES.items()}
        return _row({new.get(f, f): v for f, v in zip(self.fields, values, strict=True)})


def looks_like_a_row(line: str) -> bool:
    """Whether a line that cannot be read was meant as an answer, and is no greeting of a shell."""
    return line.count(",") >= len(NEEDED) or bool(UUID.match(line))


def _row(values: dict[str, str]) -> Row:
    index, uuid = number(values["index"]), _text(values["uuid"])
    if index is None and not uuid:
        raise ValueError("a GPU with neither uuid nor index")
    total, free, unified = _memory(values["memory.total"], values["memory.free"])
    count = number(values.get("count", ""))
    heat = number(values["temperature.gpu"])
    silent = total is None and heat is None and not unified
    device = Device(
        uuid=uuid or f"GPU {index:g}",
        index=int(index or 0),
        name=_text(values.get("name", "")),
        total_mb=total,
        free_mb=free,
        unified=unified,
        temperature_c=heat,
        margin_c=number(values.get("temperature.gpu.tlimit", "")),
        reasons=bits(values.get(REASONS, "")),
        power_w=number(values.get("power.draw", "")),
        utilization=number(values.get("utilization.gpu", "")),
        error=_bracketed(values["temperature.gpu"]) if silent else "",
    )
    bus_id = _text(values.get("pci.bus_id", "")).upper()
    return Row(device, bus_id, None if count is None else int(count))


def _bracketed(token: str) -> str:
    """The word that stands for a missing value, as an error."""
    return plain(token.strip().strip("[]"), 40) or SILENT


def _text(token: str) -> str:
    return "" if _absent(token) else plain(token, 100)


def _memory(total: str, free: str) -> tuple[float | None, float | None, bool]:
    """Total, free, and whether the card shares the machine's memory: it then supports neither number."""
    told = number(total)
    if told == 0 or (told is None and _bare(total) in UNSUPPORTED):
        return None, None, True
    return told, number(free), False


class Ticks:
    """Puts the rows of one moment together."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}

    @property
    def pending(self) -> bool:
        """Whether a moment is begun and not complete."""
        return bool(self._rows)

    @property
    def counted(self) -> bool:
        """Whether the rows tell how many of them make a moment."""
        return any(row.count for row in self._rows.values())

    def add(self, row: Row) -> tuple[Row, ...]:
        """The moment that is whole now; () while rows are missing. A GPU that shows up again begins the
        next moment: the one before went without some GPU."""
        over = self.flush() if row.device.uuid in self._rows else ()
        self._rows[row.device.uuid] = row
        return self.flush() if row.count is not None and len(self._rows) >= row.count else over

    def flush(self) -> tuple[Row, ...]:
        """The begun moment as it is."""
        rows, self._rows = self._rows, {}
        return tuple(sorted(rows.values(), key=lambda row: row.device.index))


def limits(text: str) -> dict[str, float]:
    """Highest operating temperature by bus id from `-q -d TEMPERATURE`, of the cards that have one."""
    found: dict[str, float] = {}
    card = ""
    for line in text.splitlines():
        if head := CARD.match(line):
            card = head[1].upper()
        elif (limit := MAXIMUM.match(line)) and card and float(limit[1]) > 0:
            found[card] = float(limit[1])
    return found


# --- processes ----------------------------------------------------------------------------------------


def processes(text: str) -> tuple[Process, ...] | None:
    """Who holds memory, from the answer to PROCESSES; None when that cannot be told."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        return known(map(_process, lines))
    except ValueError:
        return None


def known(found: Iterable[Process | None]) -> tuple[Process, ...] | None:
    """Those whose memory is known; None when there are processes, but it is of none."""
    every = list(found)
    told = tuple(p for p in every if p is not None)
    return None if every and not told else told


def _process(line: str) -> Process | None:
    """None for a process whose memory is not told. Its name may hold commas."""
    pid, _, rest = line.partition(",")
    name, _, used = rest.rpartition(",")
    memory = number(used)
    return None if memory is None else Process(int(pid), _text(name), memory)


def meminfo(text: str) -> tuple[float, float] | None:
    """Total and available MiB of a machine, from /proc/meminfo; None when it is no such file."""
    found = dict(re.findall(r"^(MemTotal|MemAvailable):\s+(\d+) kB", text, re.MULTILINE))
    if len(found) < 2:
        return None
    return int(found["MemTotal"]) / 1024, int(found["MemAvailable"]) / 1024


def shared(device: Device, memory: tuple[float, float] | None) -> Device:
    """A unified card with the machine's memory filled in."""
    if not device.unified or memory is None:
        return device
    return replace(device, total_mb=memory[0], free_mb=memory[1])


# --- errors -------------------------------------------------------------------------------------------


def advice(said: str) -> str:
    """What to do about what nvidia-smi said when it failed; "" when that is not known."""
    text = said.lower()
    return next((fix for word, fix in ADVICE.items() if word in text), "")


ADVICE = {
    "version mismatch": "the NVIDIA driver was upgraded: reboot that machine",
    "couldn't communicate": "load the NVIDIA driver there; after an upgrade of kernel or driver: reboot",
    "no devices were found": "the driver sees no GPU there: reboot; look into dmesg for NVRM",
    "is lost": "the GPU fell off the bus: reboot that machine; look into dmesg for Xid",
    "insufficient permissions": "let that user read /dev/nvidia*",
}
