"""Is there a daemon, and may this user talk to it?"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ygg import __version__, locking, meant
from ygg.client import connect
from ygg.desk import JsonDict
from ygg.errors import YggError
from ygg.ops.doctor.checks import Check, Maker

#: What is known of the daemon: its part of the status with the `hosts` beside it, None without one, or why it cannot be reached.
Daemon = JsonDict | YggError | None


def ask(explicit: str | None, env: Mapping[str, str]) -> Daemon:
    """The running daemon's own words. Blocks until it answers."""
    try:
        remote = connect(explicit, env)
        if remote is None:
            return None
        try:
            body: Any = remote.status(probe=False)
        finally:
            remote.close()
    except YggError as error:
        return error
    told = body["daemon"]
    return {**told, "hosts": body["hosts"]} if isinstance(told, dict) else {}


def findings(daemon: Daemon, explicit: str | None, env: Mapping[str, str]) -> list[Check]:
    """The daemon, and every socket file that a client would try."""
    doors = meant.queue(explicit, env).doors
    places = [door.socket for door in doors if os.path.lexists(door.socket)]
    about = [_daemon(daemon, places), *_database(daemon), *_sick(daemon)]
    return [*about, *(_socket(p) for p in places)]


def _sick(daemon: Daemon) -> list[Check]:
    """Models that fail whoever asks, as the daemon has found."""
    hosts = daemon.get("hosts", []) if isinstance(daemon, dict) else []
    return [
        Maker(f"{host['name']}/{sick['endpoint']}", "hosts").error(
            f"{sick['model'] or 'its model'} is sick: {sick['message']}", fix=SICK
        )
        for host in hosts
        for sick in host.get("sick", [])
    ]


SICK = "look at the server's own log and its GPU; then: ygg hosts resume HOST asks it at once"


def _daemon(daemon: Daemon, places: list[Path]) -> Check:
    of = Maker("daemon", "socket")
    if isinstance(daemon, YggError):
        return of.error(daemon.message, fix=daemon.hint)
    if daemon is None:
        stale = f"; {places[0]} was left by one that died" if places else ""
        return of.warning(f"no daemon is running{stale}", fix=START)
    version = daemon.get("version", "?")
    if daemon.get("store_error"):
        return of.error(f"the daemon cannot use its database: {daemon['store_error']}")
    if daemon.get("config_error"):
        return of.error(f"hosts.yaml is not in force: {daemon['config_error']}", fix=RELOAD)
    if daemon.get("notify_error"):
        return of.warning(f"somebody cannot be told: {daemon['notify_error']}", fix=TOLD)
    if version != __version__:
        text = f"the daemon is ygg {version}, this command is {__version__}"
        return of.warning(text, fix="restart the daemon after an upgrade")
    holds = [word for word in ("paused", "draining") if daemon.get(word)]
    if holds:
        return of.warning(f"the daemon is {' and '.join(holds)}: it starts no tasks")
    stalls = daemon.get("stalls") or {}
    if stalls.get("loop"):
        text = f"the daemon stood still {stalls['loop']} times, {stalls['longest_s']} s at worst"
        return of.warning(text, fix="its log says where: please report it")
    if stalls.get("machine"):
        text = (
            f"this machine stood still {stalls['machine']} times, {stalls['longest_s']} s at worst"
        )
        return of.warning(text, fix="its log says when: look at the load and the memory then")
    return of.ok(f"ygg {version} answers, process {daemon.get('pid', '?')}")


def _database(daemon: Daemon) -> list[Check]:
    """Whether the file that the daemon says it has is the one that is there: it may have been deleted or replaced."""
    if not isinstance(daemon, dict) or not daemon.get("store") or not daemon.get("pid"):
        return []
    path = Path(str(daemon["store"]))
    if not os.access(path.parent / locking.FOLDER, os.R_OK | os.X_OK):
        return []  # another user's: not to be seen from here
    if locking.held(path, int(daemon["pid"])):
        return []
    text = f"the daemon does not hold the {path} that is there: the file, or its lock, was removed or replaced"
    return [Maker("daemon", "socket").error(text, fix="restart the daemon, and see what it says")]


TOLD = "ygg notify test says whether it is reached now"
RELOAD = "ygg config check; then reload: systemctl reload ygg, or kill -HUP"
START = "ygg loop --async, or systemctl start ygg; until then tasks only wait"


def _socket(path: Path) -> Check:
    """Who may use the socket, and whether that includes this user."""
    of = Maker(str(path), "socket")
    try:
        found = path.stat()
    except OSError as error:
        return of.error(f"cannot be looked at: {error.strerror}", fix=JOIN.format(group="ygg"))
    if not stat.S_ISSOCK(found.st_mode):
        return of.error("this is no socket", fix="move it out of the way")
    group, mode = _group(found.st_gid), stat.S_IMODE(found.st_mode)
    text = f"owner {_user(found.st_uid)}, group {group}, mode {mode:04o}"
    if mode & stat.S_IWOTH:
        return of.warning(f"{text}: everybody on this machine may use it", fix=f"chmod 0660 {path}")
    if os.access(path, os.R_OK | os.W_OK):
        return of.ok(f"{text}; you may use it")
    return of.error(f"{text}; you may not use it", fix=_join(group))


JOIN = "join its group, then log in again: sudo usermod -aG {group} $USER"


def _join(group: str) -> str:
    """Somebody who was added to the group after logging in only has to log in again."""
    try:
        if _user(os.getuid()) in grp.getgrnam(group).gr_mem:
            return f"you are in group {group}, but this login is older: log out and in again"
    except KeyError:
        pass
    return JOIN.format(group=group)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
