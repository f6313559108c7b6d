"""Which queue a person means: decided by what they say and by what is installed, never by what answers this second.

1. A socket that is named (`--socket`, `$YGG_SOCKET`): the daemon there, and nothing else.
2. A state directory that is named (`$YGG_STATE`): the daemon that has its database, else the database itself.
3. A service that is installed, of this user or of the machine: its socket. A private queue beside it would be
   one that nobody looks at.
4. Else the state directory of this user, as in 2.

The daemon that has a database is found by the database's lock file, so that cron, sudo and su find it too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ygg import locking, paths
from ygg.errors import Conflict


class Door(NamedTuple):
    """A socket, and the user who must listen there; None: whoever does is meant."""

    socket: Path
    user: int | None = None


class Queue(NamedTuple):
    """A queue: where its daemon listens, and its database where that may be opened without one."""

    doors: tuple[Door, ...]
    database: Path | None = None
    service: str = ""  #: how to start the service that it belongs to
    owner: locking.Owner | None = None  #: who has the database now


def queue(explicit: str | None, env: Mapping[str, str]) -> Queue:
    """The queue that is meant, as it is now."""
    named = paths.named_socket(explicit, env)
    if named is not None:
        return Queue((Door(named),))
    if paths.named_state(env):
        return _private(env, ())
    return _installed(env) or _private(env, paths.usual_sockets(env))


def _installed(env: Mapping[str, str]) -> Queue | None:
    """Of this user's service, else of the machine's."""
    me = os.geteuid()
    if _there(paths.user_unit(env)):
        doors = tuple(Door(path, me) for path in paths.user_sockets(env, me))
        return Queue(doors, service="systemctl --user start ygg")
    if any(_there(folder / paths.UNIT) for folder in paths.SYSTEM_UNITS):
        return Queue((Door(paths.SYSTEM_SOCKET),), service="sudo systemctl start ygg")
    return None


def _there(path: Path) -> bool:
    """Also where that may not be known: then it is not this user's."""
    return os.access(path, os.F_OK)


def _private(env: Mapping[str, str], usual: Sequence[Path]) -> Queue:
    database = paths.state_dir(env) / paths.DATABASE
    owner = locking.owner(database)
    if owner is not None and owner.socket is not None:
        return Queue((Door(owner.socket, owner.user),), database, owner=owner)
    me = os.geteuid()
    doors = (Door(path, None if path == paths.SYSTEM_SOCKET else me) for path in usual)
    return Queue(tuple(doors), database, owner=owner)


def refuse_beside_service(env: Mapping[str, str]) -> None:
    """Raises Conflict where a daemon started by hand would serve a queue that no command means."""
    if paths.named_state(env):
        return
    found = _installed(env)
    if found is not None:
        raise Conflict(
            "the ygg service is installed here: commands go to its queue",
            hint=f"{found.service}; for a queue of your own beside it set YGG_STATE to a directory",
        )
