"""The host panel: slots, memory, heat, power, model, tokens per second.

What has no reading shows `--`; a stale one is dim, with its age. A host that cannot work gives its row to
the reason. Columns of GPU readings are left out while no host has any.
"""

from __future__ import annotations

from ygg.model import GpuView, HostHealth, HostView
from ygg.model.snapshot import memory_of
from ygg.view.frame import Canvas, Row
from ygg.view.text import duration, fit

Part = str | tuple[str, str]
LEVEL_STYLES = {"LOW": "good", "NORMAL": "", "HIGH": "warn", "CRITICAL": "critical"}
WARM_C, HOT_C = 15.0, 5.0  #: degrees below the card's limit
GAUGE = 10


def rows(canvas: Canvas, *, header: bool) -> list[Row]:
    """One row per host, below a header of columns on a wide frame."""
    hosts = canvas.snapshot.hosts
    read = any(h.gpus for h in hosts)
    names = min(20, max((len(h.name) for h in hosts), default=4))
    most = 12 if canvas.wide else 6  # beyond that numbers take the place of marks
    slots = max((h.slots if h.slots <= most else 5 for h in hosts), default=1)
    slots = max(slots, 5) if canvas.wide else slots
    out = [_header(canvas, names, slots, read)] if header else []
    return out + [_host(canvas, h, names, slots, read) for h in hosts]


def _header(canvas: Canvas, names: int, slots: int, read: bool) -> Row:
    cells = [" " * 3, fit("HOST", names), fit("SLOTS", slots)]
    if read:
        cells += [fit("VRAM", GAUGE), fit("%", 4, right=True), fit("FREE", 5, right=True)]
        cells += [fit("TEMP/MAX", 8, right=True), fit("PWR", 5, right=True)]
    spark = len(canvas.snapshot.hosts[0].history) if canvas.snapshot.hosts else 0
    tail = [fit("TOK/S", 9, right=True)] + ([fit("2 MIN", 12)] if spark or canvas.wide else [])
    return canvas.row(
        " ".join([*cells, _model_cell(canvas, "MODEL", cells, tail), *tail]), style="dim"
    )


def _host(canvas: Canvas, host: HostView, names: int, slots: int, read: bool) -> Row:
    glyph, word, style = state_of(canvas, host)
    head: list[Part] = [" ", (glyph, style or "good"), " ", (fit(host.name, names), style), " "]
    head += [marks(canvas, host, slots), " "]
    if word not in ("up", ""):
        return canvas.row(*head, (f"{word}{_trouble(canvas, host)}", style))
    cells = _readings(canvas, host) if read else []
    tail = [fit(_rate(host), 9, right=True)] + ([sparkline(canvas, host)] if canvas.wide else [])
    plain = [*(p if isinstance(p, str) else p[0] for p in head), *(t for t, _ in cells)]
    model = _model_cell(canvas, _models(host), ["".join(plain), *([""] * len(cells))], tail)
    spaced: list[Part] = [p for cell in cells for p in (cell, " ")]
    return canvas.row(*head, *spaced, model, " ", " ".join(tail))


def _model_cell(canvas: Canvas, text: str, before: list[str], after: list[str]) -> str:
    """The column that takes what the others leave."""
    used = sum(len(c) for c in before) + sum(len(c) for c in after) + len(before) + len(after)
    return fit(text, max(8, canvas.width - used))


def state_of(canvas: Canvas, host: HostView) -> tuple[str, str, str]:
    """Glyph, word and style of a host."""
    g = canvas.glyphs
    if host.health is HostHealth.DOWN:
        return g.down, "down", "bad"
    if host.health is HostHealth.UNAUTHORIZED:
        return g.down, "no access", "bad"
    if host.drained:
        return g.unsure, "drained", "warn"
    if host.health is HostHealth.UNKNOWN:
        return g.unsure, "not checked yet", "dim"
    if host.sick:
        return g.warn, "sick", "bad"
    if host.busy_until_ms is not None:
        return g.warn, "busy", "warn"
    if not host.limit and host.limit_reason:
        return g.warn, "no new starts", "critical"
    less = host.limit < host.slots or any(gpu.error for gpu in host.gpus)
    return (g.warn, "", "warn") if less else (g.up, "up", "")


def _trouble(canvas: Canvas, host: HostView) -> str:
    """Why, and until when, as far as it is known."""
    if host.sick and host.health is HostHealth.UP and not host.drained:
        return _sick(canvas, host)
    why = host.health_text or ("" if host.limit else host.limit_reason)
    text = f": {why}" if why else ""
    if host.busy_until_ms is not None and host.busy_until_ms > canvas.snapshot.at_ms:
        text += f", {duration((host.busy_until_ms - canvas.snapshot.at_ms) / 1000)} more"
    return text


def _sick(canvas: Canvas, host: HostView) -> str:
    first, more = host.sick[0], len(host.sick) - 1
    again = duration(max(0.0, (first.ask_at_ms - canvas.snapshot.at_ms) / 1000))
    others = f" and {more} more" if more else ""
    return f": {first.model or 'its model'}{others}, asked again in {again}: {first.message}"


def marks(canvas: Canvas, host: HostView, columns: int) -> str:
    """A mark per slot: busy, free, withdrawn. Numbers where they do not fit."""
    busy = min(len(host.running), host.slots)
    if host.slots > columns:
        return fit(f"{busy}/{host.limit}", columns)
    g = canvas.glyphs
    return fit(
        g.busy * busy + g.free * host.free + g.gone * (host.slots - busy - host.free), columns
    )


def _models(host: HostView) -> str:
    """What is loaded, else what there is; before it the cards that are lost."""
    lost = [f"GPU {gpu.index} is lost" for gpu in host.gpus if gpu.error]
    return ", ".join([*lost, *(host.loaded or host.models)])


def _rate(host: HostView) -> str:
    return "--" if host.tokens_per_s is None else f"{host.tokens_per_s:.1f} t/s"


def sparkline(canvas: Canvas, host: HostView) -> str:
    """Tokens per second of the last two minutes, against their own peak."""
    steps, peak = canvas.glyphs.spark, max(host.history, default=0.0)
    if not peak:
        return fit("--", 12)
    top = len(steps) - 1
    return fit("".join(steps[round(v / peak * top)] for v in host.history[-12:]), 12)


# --- readings of the cards ------------------------------------------------------------------------


def _readings(canvas: Canvas, host: HostView) -> list[tuple[str, str]]:
    """Cells of gauge, percent, free memory, temperature against its limit, power."""
    memory, age = memory_of(host.gpus), max((g.age_s for g in host.gpus), default=0.0)
    style = "dim" if any(g.stale for g in host.gpus) else _level_style(host.gpus)
    share = memory[0] / memory[1] if memory else None
    percent = "--" if share is None else f"{share:.0%}"
    free = f"{(memory[1] - memory[0]) / 1024:.1f}G" if memory else "--"
    return [
        (gauge(canvas, share), style),
        (fit(percent, 4, right=True), style),
        (fit(free, 5, right=True), style),
        _temperature(canvas, host.gpus, age),
        (fit(_power(host.gpus), 5, right=True), ""),
    ]


def _level_style(gpus: tuple[GpuView, ...]) -> str:
    order = [*LEVEL_STYLES]
    levels = [g.level for g in gpus if g.level in LEVEL_STYLES]
    return LEVEL_STYLES[max(levels, key=order.index)] if levels else ""


def gauge(canvas: Canvas, share: float | None) -> str:
    """A bar of ten cells."""
    if share is None:
        return fit("--", GAUGE)
    full = min(GAUGE, max(0, round(share * GAUGE)))
    return canvas.glyphs.full * full + canvas.glyphs.empty * (GAUGE - full)


def _temperature(canvas: Canvas, gpus: tuple[GpuView, ...], age: float) -> tuple[str, str]:
    """The hottest card against its own limit."""
    known = [g for g in gpus if g.temperature_c is not None]
    if not known:
        return fit("--", 8, right=True), "dim"
    hottest = max(known, key=lambda g: (g.temperature_c or 0) - (g.limit_c or 0))
    degrees, limit = hottest.temperature_c or 0.0, hottest.limit_c
    sign = f"{canvas.glyphs.degree}C"
    if hottest.stale:
        return fit(f"{degrees:.0f}{sign} {duration(round(age) or 1)}", 8, right=True), "dim"
    most = "" if limit is None else f"/{limit:.0f}"
    margin = 99.0 if limit is None else limit - degrees
    style = (
        "critical"
        if margin <= 0
        else "high"
        if margin <= HOT_C
        else "warn"
        if margin <= WARM_C
        else ""
    )
    return fit(f"{degrees:.0f}{most}{sign}", 8, right=True), style


def _power(gpus: tuple[GpuView, ...]) -> str:
    known = [g.power_w for g in gpus if g.power_w is not None]
    return f"{sum(known):.0f}W" if known else "--"
