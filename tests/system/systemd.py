"""systemd's part, played by a datagram socket: what a service says, and when.

`Service` is the daemon with the environment that the unit gives it.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.system.forked import Forked
from tests.system.rig import YGG, Daemon, until

RUN = "import sys; from ygg.__main__ import run; sys.exit(run(sys.argv[1:]))"


@dataclass
class Manager:
    """The messages so far, with the time each came."""

    address: str
    heard: list[tuple[float, dict[str, str]]] = field(default_factory=list)
    on_message: Callable[[dict[str, str]], None] | None = None

    def of(self, name: str) -> list[str]:
        return [message[name] for _, message in self.heard if name in message]

    def times(self, name: str) -> list[float]:
        return [at for at, message in self.heard if name in message]

    def names(self) -> list[str]:
        """The first field of each message, repeats left out."""
        firsts = [next(iter(message)) for _, message in self.heard]
        return [n for n, before in zip(firsts, ["", *firsts], strict=False) if n != before]

    def wait(self, name: str, limit_s: float = 30) -> str:
        until(lambda: self.of(name), limit_s, f"{name} in {self.heard}")
        return self.of(name)[-1]

    def _listen(self, sock: socket.socket) -> None:
        while datagram := sock.recv(65536):
            lines = datagram.decode().splitlines()
            message = dict(line.split("=", 1) for line in lines)
            self.heard.append((time.monotonic(), message))
            if self.on_message is not None:
                self.on_message(message)


@contextmanager
def manager(where: Path | str) -> Iterator[Manager]:
    """A service manager that listens at a path, or at an abstract `@name`."""
    found = Manager(str(where))
    name = f"\0{found.address[1:]}" if found.address.startswith("@") else found.address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name)
        thread = threading.Thread(target=found._listen, args=(sock,), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.sendto(b"", name)
            thread.join(10)


class Service(Daemon):
    """`ygg loop` as the unit starts it, its directories below `folder`; more words of environment,
    and `plant`: code that runs in the daemon's process before it starts."""

    def __init__(
        self, folder: Path, config: Path, manager: Manager, plant: str = "", **env: str
    ) -> None:
        super().__init__(folder, config, "--no-view")
        self.state, self.socket = folder / "lib/ygg", folder / "run/ygg/ygg.sock"
        for directory in (self.state, self.socket.parent):
            directory.mkdir(parents=True, exist_ok=True)
        del self.env["YGG_STATE"], self.env["XDG_RUNTIME_DIR"]
        self.env |= {
            "NOTIFY_SOCKET": manager.address,
            "STATE_DIRECTORY": str(self.state),
            "RUNTIME_DIRECTORY": str(self.socket.parent),
            "YGG_INTERRUPTED": "requeue",
            **env,
        }
        self.command = YGG
        self.inherits: tuple[int, ...] = ()
        if plant:
            self.command = [sys.executable, "-c", f"{plant}\n{RUN}"]

    def _started(self, words: list[str], out: IO[bytes]) -> subprocess.Popen[bytes] | Forked:
        if self.command == YGG and not self.inherits:
            return super()._started(words, out)
        return subprocess.Popen(
            [*self.command, *words], env=self.env, stdout=out, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, pass_fds=self.inherits,
        )  # fmt: skip


@contextmanager
def service(target: Service) -> Iterator[Service]:
    """The service until the block ends, killed if it has not ended by itself."""
    process = target.spawn()
    try:
        yield target
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(20)
