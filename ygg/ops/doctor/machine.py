"""The machine around ygg: its clock, its service manager, this terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import ygg
from ygg.errors import YggError
from ygg.ops.doctor.checks import Check, Maker
from ygg.stores.sqlite import inspecting

RUN = Path("/run/systemd")
UNIT_FOLDERS = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
SYSTEMCTL_S = 2.0
SLACK_S = 5.0
COLUMNS, ROWS = 60, 15  #: what the live view needs to be of use


# --- clock ----------------------------------------------------------------------------------------


def clock(database: Path) -> list[Check]:
    """A running daemon keeps its own time; over a restart the machine's clock decides, and one that is wrong
    holds tasks up."""
    of = Maker("time", "clock")
    now = time.time()
    built = Path(ygg.__file__).stat().st_mtime
    if now < built - 86400:
        text = f"the clock says {_day(now)}, but this ygg was installed {_day(built)}"
        return [of.error(text, fix=SET_CLOCK), _synchronised()]
    newest = _newest(database)
    if newest is not None and now < newest - SLACK_S:
        text = f"the clock is {newest - now:,.0f} s behind the newest task: it was set back"
        return [of.error(text, fix=SET_CLOCK), _synchronised()]
    return [of.ok(f"{_day(now)} (UTC)"), _synchronised()]


SET_CLOCK = "set the clock: sudo timedatectl set-ntp true"


def _newest(database: Path) -> float | None:
    """When the newest task was created; None where that cannot be known."""
    try:
        newest_ms = inspecting.facts(database).newest_ms
    except YggError:
        return None
    return None if newest_ms is None else newest_ms / 1000


def _synchronised() -> Check:
    of = Maker("ntp", "clock")
    folder = RUN / "timesync"
    if (folder / "synchronized").exists():
        return of.ok("synchronised by systemd-timesyncd")
    if folder.exists():
        return of.warning("systemd-timesyncd has not set the clock yet", fix=SET_CLOCK)
    return of.ok("not known: no systemd-timesyncd here")


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


# --- service --------------------------------------------------------------------------------------


async def service(env: Mapping[str, str]) -> list[Check]:
    """Whether systemd keeps the daemon running."""
    of = Maker("unit", "service")
    if not (RUN / "system").exists():
        return [of.ok("no systemd here")]
    unit, user = _unit(env)
    if unit is None:
        return [of.ok("not installed: ygg does not start by itself", fix="ygg service install")]
    word = await _is_active(user=user)
    if word == "active":
        return [of.ok(f"{unit} is active")]
    command = f"systemctl {'--user ' if user else ''}"
    if word == "failed":
        journal = f"journalctl {'--user ' if user else ''}-u ygg -e"
        return [of.error(f"{unit} has failed", fix=f"{journal}; then {command}restart ygg")]
    return [of.warning(f"{unit} is {word}", fix=f"{command}enable --now ygg")]


def _unit(env: Mapping[str, str]) -> tuple[Path | None, bool]:
    """The unit's file, and whether it is one of this user."""
    home = Path(env.get("XDG_CONFIG_HOME") or Path(env.get("HOME", "/")) / ".config")
    places = [(Path(folder), False) for folder in UNIT_FOLDERS] + [(home / "systemd/user", True)]
    found = ((folder / "ygg.service", user) for folder, user in places)
    return next(((path, user) for path, user in found if path.exists()), (None, False))


async def _is_active(*, user: bool) -> str:
    """systemctl's word; `unknown` when it cannot be asked or does not answer in time."""
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return "unknown"
    process = await asyncio.create_subprocess_exec(
        systemctl, *(["--user"] if user else []), "is-active", "ygg",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        out, _ = await asyncio.wait_for(process.communicate(), SYSTEMCTL_S)
    except TimeoutError:
        return "unknown"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return out.decode(errors="replace").strip() or "unknown"


# --- terminal -------------------------------------------------------------------------------------


async def terminal(env: Mapping[str, str]) -> list[Check]:
    """Whether the live view can be drawn here."""
    of = Maker("screen", "terminal")
    if not sys.stdout.isatty():
        return [of.ok("stdout is no terminal: the live view is not shown")]
    if env.get("TERM", "dumb") in ("dumb", ""):
        text = f"TERM is {env.get('TERM') or 'not set'}: the live view is not shown"
        return [of.warning(text, fix="export TERM=xterm-256color"), _encoding()]
    return [_size(of, env["TERM"]), _encoding()]


def _size(of: Maker, term: str) -> Check:
    try:
        columns, rows = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return of.ok(f"{term}, of unknown size")
    if columns < COLUMNS or rows < ROWS:
        text = f"{term}, {columns} x {rows}: small for the live view"
        return of.warning(text, fix=f"make it {COLUMNS} x {ROWS} or larger")
    return of.ok(f"{term}, {columns} x {rows}")


def _encoding() -> Check:
    of = Maker("encoding", "terminal")
    encoding = sys.stdout.encoding or "unknown"
    if "utf" not in encoding.lower():
        text = f"{encoding}: texts and the live view lose characters"
        return of.warning(text, fix="export LANG=C.UTF-8")
    return of.ok(encoding)
