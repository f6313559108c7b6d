"""What replaces the task panels when a person asks for more: one task, one host, the log, the keys."""

from __future__ import annotations

from collections.abc import Sequence

from ygg.model import EndView, GpuView, HostView, RunningView, State, WaitingView
from ygg.telling.troubles import troubles
from ygg.view import hosts, logs, tasks
from ygg.view.frame import Canvas, Row
from ygg.view.text import clock, duration, fit, wrapped
from ygg.view.ui import Ui

NAMES, PAIR_ROWS = 16, 6  #: columns of the names of details, rows of one of them at most
HELP = (
    ("q", "leave; in `ygg loop` it asks first, then lets calls end, then cuts them off"),
    ("p", "pause or resume dispatch"),
    ("h, d", "hosts; d drains or resumes the chosen one"),
    ("t", "tasks, with the details of the chosen one"),
    ("/", "show only tasks that hold a text; Esc shows all again"),
    ("l", "the log"),
    ("?", "this help"),
    ("up, down, j, k", "choose"),
    ("Ctrl-Z", "suspend; fg comes back"),
)

LETTERS = "C critical, H high, N normal, L low, B backlog"
LEVELS = (
    "used of all cards of a host, and its level; an arrow where it moved within the last minute"
)
STARTS = "about, from measured rates; -- where nothing is known yet or nothing can flow"


def rows(canvas: Canvas, ui: Ui, room: int) -> list[Row]:
    """The chosen pane, at most `room` rows."""
    draw = {"task": _task, "host": _host, "log": _log, "help": _help}[ui.pane]
    return draw(canvas, ui, room)[:room]


def _help(canvas: Canvas, ui: Ui, room: int) -> list[Row]:
    g = canvas.glyphs
    marks = f"{g.busy} busy, {g.free} free, {g.gone} withdrawn: too hot or full, drained, down"
    return [
        *_pairs(canvas, "KEYS", HELP),
        *_pairs(
            canvas,
            "SIGNS",
            [("SLOTS", marks), ("P", LETTERS), ("MEMORY", LEVELS), ("STARTS", STARTS)],
        ),
    ]


def _log(canvas: Canvas, ui: Ui, room: int) -> list[Row]:
    return logs.rows(canvas, room) or [canvas.rule("LOG"), canvas.row("   no line", style="dim")]


def _window(cursor: int, count: int, room: int) -> tuple[int, int]:
    """Which of so many is chosen, and the first of those that are shown around it."""
    place = min(cursor, count - 1)
    return place, max(0, min(place - room // 2, count - room))


def _marked(canvas: Canvas, rows: list[Row], place: int) -> list[Row]:
    text = canvas.glyphs.cursor + rows[place].text[1:]
    return [*rows[:place], canvas.row((text, "cursor")), *rows[place + 1 :]]


def _pairs(canvas: Canvas, title: str, pairs: Sequence[tuple[str, str | None]]) -> list[Row]:
    body = [row for name, text in pairs for row in _pair(canvas, name, text or "--")]
    return [canvas.rule(title), *body]


def _pair(canvas: Canvas, name: str, text: str) -> list[Row]:
    """A name and what is said of it, on as many rows as it takes."""
    hung = wrapped(text, canvas.width - 3 - NAMES, PAIR_ROWS)
    return [
        canvas.row("   ", (fit(name if not n else "", NAMES), "dim"), part)
        for n, part in enumerate(hung)
    ]


# --- one host -------------------------------------------------------------------------------------


def _host(canvas: Canvas, ui: Ui, room: int) -> list[Row]:
    found = canvas.snapshot.hosts
    if not found:
        return [canvas.row("   no host is configured", style="dim")]
    panel, shown = hosts.listing(canvas), max(3, room // 3)
    place, first = _window(ui.cursor, len(found), shown)
    rows = [block[0] for block in panel.blocks()[first : first + shown]]
    listed = _marked(canvas, rows, place - first)
    return [*panel.heads("HOSTS"), *listed, *_host_details(canvas, found[place])]


def _host_details(canvas: Canvas, host: HostView) -> list[Row]:
    at = canvas.snapshot.at_ms
    checked = None if host.checked_ms is None else f"{duration((at - host.checked_ms) / 1000)} ago"
    wrong = troubles(host, at)
    pairs = [
        ("state", wrong[0] if wrong else "up"),
        *(("", text) for text in wrong[1:]),
        ("slots", _slots(host)),
        ("server", f"{host.backend} {host.version or ''}".rstrip()),
        *(
            (
                f"/{e.name}",
                f"{e.health}, {e.busy} busy, {e.limit} of {e.slots} in use {e.text}".rstrip(),
            )
            for e in host.endpoints
            if len(host.endpoints) > 1
        ),
        ("latency", None if host.latency_ms is None else f"{host.latency_ms:.0f} ms"),
        ("checked", checked),
        ("models", ", ".join(host.models) or None),
        ("loaded", None if host.loaded is None else ", ".join(host.loaded) or "none"),
        *((f"gpu {gpu.index}", _gpu(canvas, gpu)) for gpu in host.gpus),
        ("tasks", ", ".join(host.running) or "none"),
    ]
    return _pairs(canvas, host.name, pairs)


def _slots(host: HostView) -> str:
    return f"{len(host.running)} busy, {host.free} free, {host.slots} in all"


def _gpu(canvas: Canvas, gpu: GpuView) -> str:
    known = [gpu.name] if gpu.name else []
    if gpu.error:
        return ", ".join([*known, f"lost: {gpu.error}"])
    if gpu.used_mb is not None and gpu.total_mb is not None:
        known.append(f"{gpu.used_mb:.0f} of {gpu.total_mb:.0f} MB {gpu.level or ''}".rstrip())
    if gpu.temperature_c is not None:
        most = "" if gpu.limit_c is None else f" of {gpu.limit_c:.0f}"
        known.append(f"{gpu.temperature_c:.0f}{most} {canvas.glyphs.degree}C")
    if gpu.power_w is not None:
        known.append(f"{gpu.power_w:.0f} W")
    return ", ".join([*known, f"read {duration(gpu.age_s)} ago"])


# --- one task -------------------------------------------------------------------------------------


def _task(canvas: Canvas, ui: Ui, room: int) -> list[Row]:
    running, waiting, recent = canvas.running(), canvas.waiting(), canvas.recent()
    items: list[RunningView | WaitingView | EndView] = [*running, *waiting, *recent]
    if not items:
        return [canvas.rule("TASKS"), canvas.row("   no task", style="dim")]
    shown = max(3, room // 2)
    place, first = _window(ui.cursor, len(items), shown)
    window = items[first : first + shown]
    parts = (
        tasks.running(canvas, [i for i in window if isinstance(i, RunningView)]),
        tasks.waiting(canvas, [i for i in window if isinstance(i, WaitingView)]),
        tasks.recent(canvas, [i for i in window if isinstance(i, EndView)]),
    )
    rows = [block[0] for part in parts for block in part.blocks()]
    listed = _marked(canvas, rows, place - first)
    return [canvas.rule("TASKS"), *listed, *_task_details(canvas, items[place])]


def _task_details(canvas: Canvas, task: RunningView | WaitingView | EndView) -> list[Row]:
    match task:
        case RunningView():
            pairs = _running_pairs(canvas, task)
        case WaitingView():
            pairs = _waiting_pairs(canvas, task)
        case EndView():
            pairs = _ended_pairs(task)
    more = [("more", f"ygg show {task.task_id[-6:]}")]
    return _pairs(canvas, task.task_id, [("type", task.type), *pairs, *more])


def _place(run: RunningView) -> str:
    return f"{run.host}/{run.endpoint}" if run.endpoint else run.host


def _running_pairs(canvas: Canvas, run: RunningView) -> list[tuple[str, str | None]]:
    at, rate = canvas.snapshot.at_ms, run.rate(canvas.snapshot.at_ms)
    limit = f" of {run.max_tokens}" if run.max_tokens else ""
    return [
        ("title", run.title),
        ("runs on", f"{_place(run)}, {run.model} ({run.backend}), attempt {run.attempt}"),
        ("elapsed", f"{duration((at - run.started_ms) / 1000)} of {duration(run.timeout_s)}"),
        ("tokens", f"{run.tokens}{limit}" if run.tokens else None),
        ("speed", None if rate is None else f"{rate:.1f} tokens/s"),
    ]


def _waiting_pairs(canvas: Canvas, task: WaitingView) -> list[tuple[str, str | None]]:
    return [
        ("priority", f"P{int(task.priority)} {task.priority.name}"),
        ("title", task.title),
        ("waits", duration((canvas.snapshot.at_ms - task.created_ms) / 1000)),
        ("because", task.reason.text),
        ("starts", tasks.starts(canvas, task)),
    ]


def _ended_pairs(end: EndView) -> list[tuple[str, str | None]]:
    return [
        ("title", end.title),
        ("state", f"{end.state} at {clock(end.at_ms)}"),
        ("outcome", None if end.state is State.COMPLETED else tasks.outcome(end)),
        ("host", end.host),
        ("took", None if end.took_ms is None else duration(end.took_ms / 1000)),
        ("waited", None if end.wait_ms is None else duration(end.wait_ms / 1000)),
        ("tokens", None if end.output_tokens is None else str(end.output_tokens)),
    ]
