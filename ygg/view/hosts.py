"""The host panel: slots, memory with its level, heat, power, models, tokens per second.

A host in trouble keeps its readings; what is the matter stands below it. What has no reading shows `--`; a stale one
is dim, with its age. Columns of GPU readings are left out while no host has any. Where not all hosts fit, those in
trouble come first, then those that work; the others share one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from ygg.model import GpuView, HostHealth, HostView
from ygg.model.snapshot import BUCKET_S, BUCKETS, hottest, memory_of
from ygg.plain import percent
from ygg.telling.troubles import troubles
from ygg.view.frame import Canvas, Part, Row
from ygg.view.table import MARK, Column, Line, Table, table
from ygg.view.text import age, fit

LEVEL_STYLES = {"LOW": "", "NORMAL": "", "HIGH": "warn", "CRITICAL": "critical"}
HEAT_STYLES = ("", "warn", "bad", "critical")
MARGINS_C = (15.0, 5.0, 0.0)  #: to the card's own limit, where that is what counts
MOVED_C, MOVED_SHARE = 2.0, 0.02  #: within a minute: what counts as rising or falling
NARROW = 60  #: columns below which memory has no gauge
MARKS = 12  #: slots beyond which numbers take the place of marks


def rows(canvas: Canvas, room: int) -> list[Row]:
    """The panel in at most `room` rows."""
    panel = listing(canvas)
    heads, blocks = panel.heads("HOSTS"), panel.blocks()
    if len(heads) + sum(map(len, blocks)) <= room:
        return [*heads, *(row for block in blocks for row in block)]
    return [*heads, *_folded(canvas, blocks, room - len(heads))]


def _folded(canvas: Canvas, blocks: list[list[Row]], room: int) -> list[Row]:
    """The hosts that matter most, and how many more there are."""
    pairs = zip(canvas.snapshot.hosts, blocks, strict=True)
    order = sorted(
        ((_calmness(host, len(block) > 1), block) for host, block in pairs), key=itemgetter(0)
    )
    shown, out = 0, list[Row]()
    for _, block in order:
        if len(out) + len(block) > room - 1:
            break
        out += block
        shown += 1
    resting = all(calm == AT_REST for calm, _ in order[shown:])
    more = f"{len(order) - shown} more {'at rest' if resting else 'hosts: ygg hosts'}"
    return [*out, canvas.row(" " * MARK, more, style="dim")]


DOWN, TROUBLE, STOPPED, AT_WORK, AT_REST = range(5)


def _calmness(host: HostView, troubled: bool) -> int:
    if host.health in (HostHealth.DOWN, HostHealth.UNAUTHORIZED):
        return DOWN
    if host.drained:
        return STOPPED
    if troubled:
        return TROUBLE
    return AT_WORK if host.running else AT_REST


def listing(canvas: Canvas) -> Table:
    """A line for each host, with what is the matter below it."""
    hosts = canvas.snapshot.hosts
    read, slots = any(h.gpus for h in hosts), _slots_width(canvas)
    columns = (
        Column("HOST", 20, 8),
        Column("SLOTS", slots),
        Column("MEMORY", _bar(canvas) + 16 if read else 0),
        Column("TEMP", (12 if canvas.wide else 10) if read else 0),
        Column("POWER", 7 if read else 0, right=True, rank=3),
        Column("TOK/S", 7, right=True, rank=1),
        Column("IN MEMORY", 48, 10, rank=2, grows=True),
        Column(f"2 MIN 0-{canvas.scale}", BUCKETS, rank=4),
    )
    return table(canvas, columns, [_line(canvas, h, slots) for h in hosts])


def _slots_width(canvas: Canvas) -> int:
    most = MARKS if canvas.wide else 6
    return max([5, *(h.slots for h in canvas.snapshot.hosts if h.slots <= most)])


def _bar(canvas: Canvas) -> int:
    return 10 if canvas.wide else 6 if canvas.width >= NARROW else 0


def _name(host: HostView) -> str:
    return f"{host.name} (CPU)" if host.kind == "cpu" else host.name


def _line(canvas: Canvas, host: HostView, slots: int) -> Line:
    wrong = troubles(host, canvas.snapshot.at_ms)
    glyph, style = _state(canvas, host, troubled=bool(wrong))
    unknown = ("not checked yet",) if host.health is HostHealth.UNKNOWN else ()
    cells: tuple[Part, ...] = (
        (_name(host), style),
        marks(canvas, host, slots),
        _memory(canvas, host),
        _temperature(canvas, host),
        _power(host.gpus),
        "--" if host.tokens_per_s is None else f"{host.tokens_per_s:.1f}",
        ", ".join(host.loaded or ()) or "--",
        sparkline(canvas, host),
    )
    mark = (" ", (glyph, style or "good"), "   ")
    return Line(mark, cells, note_style=style, below=(*unknown, *wrong))


def _state(canvas: Canvas, host: HostView, *, troubled: bool) -> tuple[str, str]:
    """Glyph and style of a host."""
    g = canvas.glyphs
    if host.health in (HostHealth.DOWN, HostHealth.UNAUTHORIZED):
        return (g.warn, "warn") if host.free else (g.down, "bad")
    if host.drained:
        return g.unsure, "warn"
    if host.health is HostHealth.UNKNOWN:
        return g.unsure, "dim"
    if host.sick or not host.limit:
        return g.warn, "bad"
    return (g.warn, "warn") if troubled else (g.up, "")


def marks(canvas: Canvas, host: HostView, columns: int) -> str:
    """A mark per slot: busy, free, withdrawn. Numbers where they do not fit."""
    busy = min(len(host.running), host.slots)
    if host.slots > columns:
        return f"{busy}/{busy + host.free}"
    g = canvas.glyphs
    return g.busy * busy + g.free * host.free + g.gone * (host.slots - busy - host.free)


def sparkline(canvas: Canvas, host: HostView) -> Part:
    """Tokens per second of the last two minutes."""
    steps, scale = canvas.glyphs.spark, canvas.scale
    if not any(host.history):
        return "--", "dim"
    top = len(steps) - 1
    return "".join(steps[min(top, round(v / scale * top))] for v in host.history[-BUCKETS:])


# --- readings of the cards ------------------------------------------------------------------------


def _memory(canvas: Canvas, host: HostView) -> Part:
    """Gauge, percent, level and where it goes."""
    found = memory_of(host.gpus)
    if found is None:
        return "--", "dim"
    share = found[0] / found[1]
    moved = None if host.trend.used_mb is None else host.trend.used_mb / found[1]
    used = fit(f"{percent(*found)}%", 4, right=True)
    said = f"{gauge(canvas, share)} {used} {host.level or ''}".strip()
    if any(g.stale for g in host.gpus):
        return said, "dim"
    return f"{said} {_arrow(canvas, moved, MOVED_SHARE)}".rstrip(), LEVEL_STYLES.get(
        host.level or "", ""
    )


def gauge(canvas: Canvas, share: float) -> str:
    """A bar; what is left of its last cell is empty."""
    cells = _bar(canvas)
    full = min(cells, max(0, round(share * cells)))
    return canvas.glyphs.full * full + canvas.glyphs.empty * (cells - full)


def _arrow(canvas: Canvas, moved: float | None, least: float) -> str:
    if moved is None or abs(moved) < least:
        return ""
    return canvas.glyphs.rises if moved > 0 else canvas.glyphs.falls


def _temperature(canvas: Canvas, host: HostView) -> Part:
    """Of the hottest card."""
    card = hottest(host.gpus)
    if card is None:
        return "--", "dim"
    said = f"{card.temperature_c:.0f} {canvas.glyphs.degree}C"
    if card.stale:
        return f"{said} {age(card.age_s)}", "dim"
    arrow = _arrow(canvas, host.trend.temperature_c, MOVED_C)
    return f"{said} {arrow}".rstrip(), HEAT_STYLES[max(_heat(host, g) for g in host.gpus)]


def _heat(host: HostView, gpu: GpuView) -> int:
    """How many of the three marks it has reached: warm, slowed down, stopped."""
    degrees = gpu.temperature_c or 0.0
    if host.heat_c is not None:
        return sum(degrees >= mark for mark in host.heat_c)
    return sum(gpu.limit_c is not None and gpu.limit_c - degrees <= m for m in MARGINS_C)


def _power(gpus: Sequence[GpuView]) -> Part:
    known = [g.power_w for g in gpus if g.power_w is not None]
    return f"{sum(known):.0f} W" if known else ("--", "dim")


assert BUCKETS * BUCKET_S == 120  # the head says two minutes
