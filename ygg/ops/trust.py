"""`ygg hosts trust`: the host key that a machine shows, and writing down that it is the right one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ygg import files, paths, private, wire
from ygg.errors import Conflict, InvalidInput, YggError
from ygg.model import Host
from ygg.ops.doctor import daemon
from ygg.ops.threads import run_without_waiting

if TYPE_CHECKING:
    from ygg.wire import HostKey


def known_hosts(socket: str | None, env: Mapping[str, str]) -> Path:
    """ygg's own file, beside the database of the running daemon; without one in the state directory."""
    told = daemon.ask(socket, env)
    store = told.get("store") if isinstance(told, dict) else None
    folder = Path(store).parent if store else paths.state_dir(env)
    return folder / wire.KNOWN_HOSTS


def shown(host: Host, file: Path) -> HostKey:
    """The key that the host's machine shows now. Raises ProbeFailed, InvalidInput."""
    if host.telemetry.ssh is None:
        text = f"host {host.name} is not read over SSH"
        raise InvalidInput(text, hint="set telemetry.ssh of this host in hosts.yaml")
    return run_without_waiting(wire.host_key(host, file))


def accept(host: str, key: HostKey, fingerprint: str | None) -> None:
    """Raises Conflict for a key that must not be trusted: not the expected one, not the known one."""
    if fingerprint is not None and _bare(fingerprint) != _bare(key.fingerprint):
        text = f"{host} shows {key.fingerprint}, not the fingerprint that was given"
        raise Conflict(text, hint="somebody may be in between: do not trust this key")
    if key.revoked:
        raise Conflict(
            f"{host} shows a key that is marked as revoked: {key.fingerprint}", hint=LOOK
        )
    if key.known and key.trusted_in is None:
        raise Conflict(_changed(host, key), hint=_forget(key))


LOOK = "somebody who has this key may pretend to be that machine"


def _bare(fingerprint: str) -> str:
    return fingerprint.strip().removeprefix("SHA256:").rstrip("=")


def _changed(host: str, key: HostKey) -> str:
    known = "\n".join(f"  known: {print_}  ({path})" for print_, path in key.known)
    return (
        f"THE HOST KEY OF {host} HAS CHANGED\n{known}\n  now:   {key.fingerprint}\n"
        "either the machine was set up anew, or somebody is in between"
    )


def _forget(key: HostKey) -> str:
    files = dict.fromkeys(path for _, path in key.known)
    forget = " && ".join(f"ssh-keygen -R '{key.entry}' -f {path}" for path in files)
    return f"only if you know that it was set up anew: {forget}, then trust it again"


def compare(key: HostKey) -> str:
    """How a person sees the right fingerprint on the machine itself."""
    kind = key.line.split()[1].removeprefix("ssh-").partition("-")[0]
    return f"on that machine: ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub"


def write(file: Path, key: HostKey) -> None:
    """Add the key to ygg's own file, which only its owner may read. Raises YggError."""
    try:
        private.folder(file.parent)
        private.close(file)
        before = files.read(file, files.KNOWN_HOSTS_MAX) if file.exists() else b""
        before += b"\n" if before and not before.endswith(b"\n") else b""
        private.put(file, before + f"{key.line}\n".encode(), check=_give_to_owner)
    except OSError as error:
        text = f"{file} cannot be written: {error.strerror or error}"
        raise YggError(
            text, hint="the daemon is another user's: sudo ygg hosts trust ..."
        ) from error


def _give_to_owner(part: Path) -> None:
    """What root writes into the service's folder must be the service's."""
    if os.geteuid() == 0:
        owner = part.parent.stat()
        os.chown(part, owner.st_uid, owner.st_gid)
