"""Where things are: state directory, sockets, units, places of hosts.yaml.

Standard library only, and nothing here touches the disk: the CLI asks before it loads anything heavy.
`env` is the environment given by the caller. As the XDG rules say, a relative path in an `XDG_*`
variable is ignored. Of a systemd directory variable with several entries the first counts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

SOCKET = "ygg.sock"
SOCKET_BYTES = 107
CONFIG = "hosts.yaml"
DATABASE = "ygg.db"
UNIT = "ygg.service"
SYSTEM_SOCKET = Path("/run/ygg") / SOCKET
SYSTEM_CONFIG = Path("/etc/ygg") / CONFIG
SYSTEM_UNITS = tuple(
    Path(p) for p in ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
)


def state_dir(env: Mapping[str, str]) -> Path:
    """Database, logs and lock: `$YGG_STATE`, `$STATE_DIRECTORY`, `$XDG_STATE_HOME/ygg`."""
    if env.get("YGG_STATE"):
        return _user_path(env["YGG_STATE"], env)
    given = _systemd(env, "STATE_DIRECTORY")
    return given or _xdg(env, "XDG_STATE_HOME", ".local/state") / "ygg"


def log_file(state: Path) -> Path:
    """What the daemon of that state directory writes."""
    return state / "logs" / "ygg.log"


def daemon_socket(env: Mapping[str, str]) -> Path:
    """Where a daemon listens: its `$RUNTIME_DIRECTORY`, the user's runtime directory, its state."""
    given = _systemd(env, "RUNTIME_DIRECTORY")
    if given:
        return given / SOCKET
    return _user_socket(env) or state_dir(env) / SOCKET


def named_state(env: Mapping[str, str]) -> bool:
    """Whether somebody said which state directory is meant."""
    return bool(env.get("YGG_STATE") or env.get("STATE_DIRECTORY"))


def named_socket(explicit: str | None, env: Mapping[str, str]) -> Path | None:
    """The socket that somebody said is meant: `--socket`, `$YGG_SOCKET`."""
    text = explicit or env.get("YGG_SOCKET")
    return _user_path(text, env) if text else None


def usual_sockets(env: Mapping[str, str]) -> list[Path]:
    """Where a daemon of nobody's naming may listen: the user's runtime directory, the system's, its state."""
    found = [_user_socket(env), SYSTEM_SOCKET, state_dir(env) / SOCKET]
    return [path for path in found if path]


def user_unit(env: Mapping[str, str]) -> Path:
    """The unit of a service of this user's own."""
    return _xdg(env, "XDG_CONFIG_HOME", ".config") / "systemd/user" / UNIT


def user_sockets(env: Mapping[str, str], uid: int) -> list[Path]:
    """Where that listens: what systemd makes of its runtime directory, whatever the environment says; and as it says."""
    found = (Path(f"/run/user/{uid}/ygg") / SOCKET, _user_socket(env))
    return list(dict.fromkeys(path for path in found if path))


def too_long(socket: Path) -> bool:
    """Whether no socket can have that path: the kernel takes 107 bytes."""
    return len(os.fsencode(socket)) > SOCKET_BYTES


def config_places(explicit: str | None, env: Mapping[str, str], cwd: Path) -> list[Path]:
    """Where hosts.yaml may be. A named place (`--config`, `$YGG_CONFIG`) is the only one."""
    named = explicit or env.get("YGG_CONFIG")
    if named:
        return [cwd / _user_path(named, env)]
    return [cwd / CONFIG, _xdg(env, "XDG_CONFIG_HOME", ".config") / "ygg" / CONFIG, SYSTEM_CONFIG]


def _user_socket(env: Mapping[str, str]) -> Path | None:
    runtime = env.get("XDG_RUNTIME_DIR", "")
    return Path(runtime) / "ygg" / SOCKET if runtime.startswith("/") else None


def _systemd(env: Mapping[str, str], name: str) -> Path | None:
    first = env.get(name, "").split(":")[0]
    return Path(first) if first else None


def _xdg(env: Mapping[str, str], name: str, default: str) -> Path:
    given = env.get(name, "")
    return Path(given) if given.startswith("/") else _home(env) / default


def _home(env: Mapping[str, str]) -> Path:
    return Path(env.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - never raises


def _user_path(text: str, env: Mapping[str, str]) -> Path:
    return _home(env) / text[2:] if text.startswith("~/") else Path(text)
