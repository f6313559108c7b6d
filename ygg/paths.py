"""Where things are: state directory, sockets, places of hosts.yaml.

Standard library only, and nothing here touches the disk: the CLI asks before it loads anything heavy.
`env` is the environment given by the caller. As the XDG rules say, a relative path in an `XDG_*`
variable is ignored. Of a systemd directory variable with several entries the first counts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

SOCKET = "ygg.sock"
CONFIG = "hosts.yaml"
SYSTEM_SOCKET = Path("/run/ygg") / SOCKET
SYSTEM_CONFIG = Path("/etc/ygg") / CONFIG


def state_dir(env: Mapping[str, str]) -> Path:
    """Database, logs and lock: `$YGG_STATE`, `$STATE_DIRECTORY`, `$XDG_STATE_HOME/ygg`."""
    if env.get("YGG_STATE"):
        return _user_path(env["YGG_STATE"], env)
    given = _systemd(env, "STATE_DIRECTORY")
    return given or _xdg(env, "XDG_STATE_HOME", ".local/state") / "ygg"


def daemon_socket(env: Mapping[str, str]) -> Path:
    """Where a daemon listens: its `$RUNTIME_DIRECTORY`, the user's runtime directory, its state."""
    given = _systemd(env, "RUNTIME_DIRECTORY")
    if given:
        return given / SOCKET
    return _user_socket(env) or state_dir(env) / SOCKET


def client_sockets(explicit: str | None, env: Mapping[str, str]) -> list[Path]:
    """Where a client looks for a daemon, in order and each once: `--socket`, `$YGG_SOCKET`, the
    user's runtime directory, the system service, the state directory."""
    named = [_user_path(text, env) for text in (explicit, env.get("YGG_SOCKET")) if text]
    rest = [_user_socket(env), SYSTEM_SOCKET, state_dir(env) / SOCKET]
    return list(dict.fromkeys([*named, *(path for path in rest if path)]))


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
