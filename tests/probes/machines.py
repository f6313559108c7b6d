"""Machines to log in to: a folder with a stand-in nvidia-smi, behind a real sshd or asyncssh's server."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.ops.fakes import free_port
from tests.probes import captures

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/sbin:/usr/local/sbin")


class Machine:
    """What stands on the other end. `start` writes nvidia-smi; `tell` changes what it says from now on."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        self.path = f"{self.bin}:/usr/bin:/bin"
        script = (Path(__file__).parent / "fake_smi.py").read_text().partition("\n")[2]
        smi = self.bin / "nvidia-smi"
        smi.write_text(f"#!{sys.executable} -SE\n{script}")
        smi.chmod(0o755)
        self.windows = False  #: the shell of asyncssh's server knows no words but nvidia-smi
        self.told = captures.machine()
        self.tell()

    def tell(self, **more: Any) -> None:
        self.told |= more
        part = self.bin / "machine.part"
        part.write_text(json.dumps(self.told))
        part.replace(self.bin / "machine.json")

    def cards(self, *cards: captures.Card, **more: Any) -> None:
        self.tell(**captures.machine(*cards, **more))

    def without_smi(self) -> None:
        (self.bin / "nvidia-smi").unlink()

    @property
    def log(self) -> list[str]:
        """What was run, and when a moment was told: `PID words`."""
        file = self.bin / "log"
        return file.read_text().splitlines() if file.exists() else []

    def runs(self, words: str) -> list[int]:
        """Process ids of what was run with these words."""
        return [int(entry.split()[0]) for entry in self.log if words in entry]

    async def logged(self, words: str, times: int = 1) -> None:
        """Wait until it has happened so often."""
        await until(lambda: len(self.runs(words)) >= times)

    async def gone(self, pid: int) -> None:
        """Wait until a process has ended."""
        await until(lambda: not alive(pid))

    def end(self) -> None:
        """Kill what still runs here: nothing else ends a stand-in that hangs."""
        for pid in {int(entry.split()[0]) for entry in self.log}:
            with suppress(OSError):  # it is gone, or goes right now
                if "nvidia-smi" in Path(f"/proc/{pid}/cmdline").read_text():
                    os.kill(pid, signal.SIGKILL)


async def until(moment: Callable[[], bool]) -> None:
    """Wait for something that another process does; TimeoutError when it does not."""
    async with asyncio.timeout(20):
        while not moment():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)


def alive(pid: int) -> bool:
    with suppress(OSError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


class Home:
    """A home directory with a key pair and what OpenSSH keeps there."""

    def __init__(self, folder: Path) -> None:
        self.ssh = folder / ".ssh"
        self.ssh.mkdir(parents=True, mode=0o700)
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.key_file = self.ssh / "id_ed25519"
        self.key.write_private_key(self.key_file)
        self.key_file.chmod(0o600)
        self.public = self.key.export_public_key().decode()
        self.known_hosts = folder / "state" / "known_hosts"  # ygg's own

    def trust(self, server: Server, file: Path | None = None) -> None:
        file = file or self.known_hosts
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"[127.0.0.1]:{server.port} {server.public}")


class Server:
    """Where to log in."""

    def __init__(self, port: int, host_key: asyncssh.SSHKey) -> None:
        self.port = port
        self.public = host_key.export_public_key().decode()
        self.fingerprint = host_key.get_fingerprint()
        self.process: subprocess.Popen[str] | None = None
        self.connections: list[asyncssh.SSHServerConnection] = []
        self.commands: list[asyncio.Task[None]] = []  # that were run for asyncssh's server

    @property
    def target(self) -> str:
        return f"{getpass.getuser()}@127.0.0.1:{self.port}"


# --- OpenSSH ----------------------------------------------------------------------------------------------


@contextmanager
def openssh(
    folder: Path, machine: Machine, authorized: str, *, port: int | None = None, extra: str = ""
) -> Iterator[Server]:
    """A real sshd on loopback that lets this user in with that key."""
    assert SSHD is not None
    folder.mkdir(exist_ok=True)
    server = Server(port or free_port(), host := asyncssh.generate_private_key("ssh-ed25519"))
    host.write_private_key(folder / "host_key")
    (folder / "host_key").chmod(0o600)
    (folder / "authorized_keys").write_text(authorized)
    lines = (
        f"Port {server.port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host_key",
        f"AuthorizedKeysFile {folder}/authorized_keys", "PidFile none", "UsePAM no", "StrictModes no",
        "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin yes",
        "UseDNS no", f"SetEnv PATH={machine.path}", extra,
    )  # fmt: skip
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists
    command = [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server.process:
        assert server.process.stderr is not None
        for said in server.process.stderr:
            if "listening" in said:
                break
        try:
            yield server
        finally:
            server.process.send_signal(signal.SIGCONT)
            server.process.terminate()


# --- asyncssh ---------------------------------------------------------------------------------------------


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process and all its children for the length of a `with`."""
    family = [pid, *_children(pid)]
    for member in family:
        os.kill(member, signal.SIGSTOP)
    try:
        yield
    finally:
        for member in family:
            os.kill(member, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [p for child in map(int, told) for p in (child, *_children(child))]


@contextmanager
def agent(sock: Path, key: Path) -> Iterator[str]:
    """An ssh-agent that holds a key; its socket. Skips without one."""
    if shutil.which("ssh-agent") is None:
        pytest.skip("no ssh-agent: apt install openssh-client")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(sock)], stdout=subprocess.DEVNULL)
    try:
        while not sock.exists():
            time.sleep(0.005)  # it tells nobody
        env = os.environ | {"SSH_AUTH_SOCK": str(sock)}
        subprocess.run(["ssh-add", str(key)], env=env, check=True, capture_output=True)
        yield str(sock)
    finally:
        process.terminate()
        process.wait()


Door = Callable[[str], Awaitable[bool]]


@asynccontextmanager
async def asyncssh_server(
    machine: Machine,
    authorized: str,
    *,
    channels: int = 10,
    door: Door | None = None,
    keys: tuple[str, ...] = ("ssh-ed25519",),
) -> AsyncIterator[Server]:
    """asyncssh's server in this loop. `channels`: sessions it opens on one connection. `door`: asked
    before anybody may log in. `keys`: kinds of its host keys."""
    host_keys = [asyncssh.generate_private_key(kind) for kind in keys]
    server = Server(0, host_keys[0])

    class Gate(asyncssh.SSHServer):
        async def begin_auth(self, username: str) -> bool:
            return door is None or await door(username)

        def connection_requested(self, *_: object) -> bool:
            return True  # it is a jump host, too

        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            server.connections.append(conn)
            self.opened = 0

        def session_requested(self) -> Any:
            self.opened += 1
            if self.opened > channels:
                raise asyncssh.ChannelOpenError(
                    asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "no more sessions"
                )
            return asyncssh.SSHServerProcess(run, None, 3, False)

    def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        server.commands.append(asyncio.create_task(_run(process, machine)))

    listener = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Gate, server_host_keys=host_keys, encoding=None,
        authorized_client_keys=asyncssh.import_authorized_keys(authorized),
    )  # fmt: skip
    server.port = listener.get_port()
    try:
        yield server
    finally:
        listener.close()
        for connection in server.connections:
            connection.abort()
        await listener.wait_closed()
        machine.end()  # a command that hangs is not told that nobody listens any more
        await asyncio.gather(*server.commands)


async def _run(process: asyncssh.SSHServerProcess[bytes], machine: Machine) -> None:
    """Run a command as a login shell would; it ends with its channel."""
    env, command = {"PATH": machine.path}, process.command or ""
    if machine.windows and not command.startswith("nvidia-smi"):
        word = command.partition("=")[0].partition(" ")[0]
        command = f"echo \"'{word}' is not recognized as an internal or external command\"; exit 1"
    child = await asyncio.create_subprocess_shell(
        command, stdout=-1, stderr=-2, stdin=-3, env=env, start_new_session=True
    )
    assert child.stdout is not None
    try:
        while chunk := await child.stdout.read(4096):
            process.stdout.write(chunk)
            await process.stdout.drain()
        process.exit(await child.wait())
    except (asyncssh.Error, OSError, asyncio.CancelledError):
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.communicate()


@contextmanager
def in_a_thread(machine: Machine, authorized: str, **more: Any) -> Iterator[Server]:
    """asyncssh's server beside a test that has no loop."""
    ready, stop = threading.Event(), asyncio.Event()
    found: list[Server | asyncio.AbstractEventLoop] = []

    async def main() -> None:
        async with asyncssh_server(machine, authorized, **more) as server:
            found.extend([server, asyncio.get_running_loop()])
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    ready.wait(30)
    server, loop = found
    assert isinstance(server, Server)
    assert isinstance(loop, asyncio.AbstractEventLoop)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
