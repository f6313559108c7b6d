"""A snapshot with some of everything, and the frames that are kept as golden files.

`python -m tests.surface.view_world` writes the golden files anew; look at what changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ygg.model import (
    Counts,
    EndView,
    GpuView,
    HostHealth,
    HostView,
    JsonDict,
    LogView,
    Priority,
    Reason,
    ReasonCode,
    RunningView,
    Snapshot,
    State,
    Trend,
    WaitingView,
    because,
)
from ygg.view.render import render
from ygg.view.ui import Ui

AT = 1_800_000_000_000
GOLDEN = Path(__file__).parent / "golden"
SIZES = ((80, 24), (100, 30), (120, 40), (160, 50))
WORDS = (
    "Fix the build of the release branch",
    "Summarise the council minutes",
    "",
    "漢字の要約と、その長い題名をここに書く",
)
HISTORY = (0, 12, 25, 40, 44, 44, 30, 12, 0, 22, 44, 44)


def host(name: str, slots: int, busy: int = 0, **fields: object) -> HostView:
    base = HostView(
        name, "gpu", slots, slots, tuple(f"run-{name}-{n}" for n in range(busy)), HostHealth.UP, "",
        False, None, AT - 4000, 3.2, "0.33.0", "ollama", ("qwen3:8b",), ("qwen3:8b",),
    )  # fmt: skip
    found = replace(base, **fields)  # type: ignore[arg-type]
    open_ = found.health is HostHealth.UP and not found.drained and found.busy_until_ms is None
    return found if "free" in fields else replace(found, free=max(0, found.limit - busy) * open_)


def gpu(used: float, degrees: float, level: str, **fields: object) -> GpuView:
    return replace(GpuView(0, "RTX", used, 8192, level, degrees, 90, 145), **fields)  # type: ignore[arg-type]


def home() -> Snapshot:
    """Five hosts: busy, cooling, stale, drained, down; seven calls, waiting tasks, ends, log."""
    hosts = (
        host("surtr-reasoning", 4, 3, gpus=(gpu(6470, 71, "HIGH"),), level="HIGH", tokens_per_s=44.1, history=HISTORY),
        host("fenrir-chat", 4, 2, limit=3, models=("gemma3:4b",), loaded=(),
             gpus=(gpu(7790, 88, "CRITICAL"),), tokens_per_s=71.9, history=HISTORY[::-1], level="CRITICAL",
             trend=Trend(-3, 400),
             limit_reason="too hot: 88 °C; starts again at 80 °C or less for 30 s"),
        host("skadi-code", 2, 1, models=("qwen2.5-coder:3b",), loaded=None,
             gpus=(gpu(3000, 63, "NORMAL", age_s=14, stale=True, power_w=None),), level="NORMAL"),
        host("hel", 2, drained=True, kind="cpu"),
        host("odin", 16, health=HostHealth.DOWN, health_text="cannot connect to odin:11434",
             latency_ms=None, ask_at_ms=AT + 8000, loaded=None),
    )  # fmt: skip
    slots: JsonDict = {"busy": 4, "limit": 4, "slots": 4, "why": ""}
    full = because(ReasonCode.HOST_FULL, "surtr-reasoning", **slots)
    down = because(ReasonCode.HOST_DOWN, "odin", message="cannot connect to odin:11434")
    counts = {
        (Priority.CRITICAL, State.QUEUED): 2, (Priority.NORMAL, State.QUEUED): 21,
        (Priority.LOW, State.QUEUED): 8, (Priority.NORMAL, State.PROCESSING): 6,
        (Priority.NORMAL, State.SCHEDULED): 2, (Priority.NORMAL, State.BLOCKED): 1,
        (Priority.NORMAL, State.COMPLETED): 1284, (Priority.HIGH, State.FAILED): 2,
    }  # fmt: skip
    return Snapshot(
        AT, AT - 11_520_000, 7, False, False, hosts, _running(), _waiting(full, down), _recent(),
        Counts(counts), log=(
            LogView(AT - 9000, "completed on fenrir-chat after 8.10 s, 566 tokens", "INFO", "1mcc5rm46-end100",
                    "chat", "Translate the manual"),
            LogView(AT, "odin is down: cannot connect to odin:11434", "WARNING")),
        per_minute=11.8, drain_ms=204_000, scheduled=_scheduled(),
    )  # fmt: skip


def _scheduled() -> tuple[WaitingView, ...]:
    later, again = (because(c, None) for c in (ReasonCode.NOT_BEFORE, ReasonCode.BACKING_OFF))
    failed = replace(again, facts={"error": "connection reset", "errors": 1, "deferrals": 0})
    return (
        WaitingView("1mcc5rm46-again1", "chat", Priority.NORMAL, AT - 90_000, failed, None, "Name five moons",
                    AT + 8_000),
        WaitingView("1mcc5rm46-later1", "embed", Priority.NORMAL, AT - 90_000, later, None,
                    "Index the photo archive, part 3", AT + 50_400_000),
    )  # fmt: skip


def _running() -> tuple[RunningView, ...]:
    places = ("surtr-reasoning",) * 3 + ("fenrir-chat",) * 2 + ("skadi-code",)
    titles = ("Prove the invariant of the lease", "Compare the three schemas", "", "漢字の要約",
              "Rewrite this mail to the landlord", "Write pytest cases")  # fmt: skip
    return tuple(
        RunningView(
            f"1mcc5rm46-run00{n}", 1 + n % 2, "reasoning" if n < 3 else "chat", title, Priority(n % 3),
            place, "qwen3:8b", "ollama", AT - 9000 * (n + 1), 600.0, 0 if n == 2 else 400 * n + 37, None,
            None if n == 2 else AT - 8000 * (n + 1), progress=None if n % 2 else 19 * n + 3,
        )
        for n, (place, title) in enumerate(zip(places, titles, strict=True))
    )  # fmt: skip


def _waiting(full: Reason, down: Reason) -> tuple[WaitingView, ...]:
    return tuple(
        WaitingView(
            f"1mcc5rm46-wait{n:02}", "reasoning" if n % 3 else "code-generation", Priority(n // 4),
            AT - 61_000 * (n + 1), full if n % 3 else down, 20_000 * (n + 1) if n % 3 else None, WORDS[n % len(WORDS)],
        )
        for n in range(12)
    )  # fmt: skip


def _recent() -> tuple[EndView, ...]:
    bad = EndView(
        "1mcc5rm46-end003", AT, State.FAILED, "timeout", "skadi-code", 30_000, 900, None, "chat",
        "Describe picture 4711", Priority.LOW, "not finished within 30 s"
    )  # fmt: skip
    put_back = EndView(
        "1mcc5rm46-end004", AT, State.QUEUED, "host_down", "odin", 4, 1, None, "chat",
        "Write pytest cases for the parser", Priority.HIGH, "odin is down"
    )  # fmt: skip
    good = tuple(
        EndView(f"1mcc5rm46-end1{n:02}", AT - n, State.COMPLETED, "completed", "fenrir-chat", 8100, 2000, 566, "chat",
                "Translate the manual")
        for n in range(9)
    )  # fmt: skip
    return (*good, put_back, bad, good[0])


@contextmanager
def utc() -> Iterator[None]:
    """The clock in the header is local time."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()


def frames() -> dict[str, str]:
    """Every golden frame by its file name."""
    view = home()
    paused = replace(view, paused=True, store_error="disk full")
    found = {f"{w}x{h}.txt": text(view, w, h) for w, h in SIZES}
    found |= {f"{w}x{h}-ascii.txt": text(view, w, h, ascii=True) for w, h in SIZES}
    panes = {"host": Ui("host", 1), "task": Ui("task", 7), "log": Ui("log"), "help": Ui("help")}
    found |= {f"80x24-{name}.txt": text(view, 80, 24, ui=ui) for name, ui in panes.items()}
    found["80x24-filter.txt"] = text(view, 80, 24, ui=Ui(wanted="odin"))
    found["80x24-alerts.txt"] = text(paused, 80, 24)
    found["100x30-colour.txt"] = styled(view, 100, 30)
    found["100x30-no-colour.txt"] = styled(view, 100, 30, colour=False)
    found["50x12.txt"] = text(view, 50, 12)
    return found


def text(view: Snapshot, width: int, height: int, **more: object) -> str:
    with utc():
        rows = render(view, width, height, **more)  # type: ignore[arg-type]
    return "".join(f"{row.text}\n" for row in rows)


def styled(view: Snapshot, width: int, height: int, **more: object) -> str:
    """Each span with its style before it."""
    with utc():
        rows = render(view, width, height, **more)  # type: ignore[arg-type]
    return "".join("".join(f"{{{s.style}}}{s.text}" for s in row.spans) + "\n" for row in rows)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, frame in frames().items():
        (GOLDEN / name).write_text(frame, encoding="utf-8")
