"""A program in a real pseudo-terminal, and a terminal emulator that looks at what it draws."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyte


class Terminal:
    """The program's controlling terminal. `raw` is every byte it wrote."""

    def __init__(self, args: list[str], columns: int, rows: int, env: dict[str, str]) -> None:
        self.master, self.slave = pty.openpty()
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._size(columns, rows)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            args, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8", "TZ": "UTC", **env},
        )  # fmt: skip

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns: int, rows: int) -> None:
        """As a window manager does: the kernel tells the program."""
        self.screen.resize(rows, columns)
        self.screen.reset()
        self._size(columns, rows)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.screen.display)

    def until(self, condition: Callable[[], Any], limit_s: float = 20) -> None:
        """Read what is drawn until the condition holds."""
        give_up = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < give_up, f"never seen; the screen:\n{self.text}"
            if select.select([self.master], [], [], 0.05)[0]:
                self._read()

    def _read(self) -> None:
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the last process of the terminal is gone
            return
        self.raw += data
        self._stream.feed(data)

    def ended(self) -> bool:
        return self.process.poll() is not None

    def stopped(self) -> bool:
        """Whether the program is stopped, as by Ctrl-Z."""
        with open(f"/proc/{self.process.pid}/stat") as stat:  # noqa: PTH123 - a file of the kernel
            return stat.read().rpartition(")")[2].split()[0] == "T"

    def end(self) -> int:
        """Its exit code, once it is over and all it wrote is read."""
        self.until(self.ended)
        while select.select([self.master], [], [], 0.05)[0]:
            size = len(self.raw)
            self._read()
            if len(self.raw) == size:
                break
        return self.process.wait(10)

    def given_back(self) -> bool:
        """Alternate screen left, cursor shown, line mode and echo as before."""
        left = self.raw.rfind(b"\x1b[?1049l") > self.raw.rfind(b"\x1b[?1049h")
        shown = self.raw.rfind(b"\x1b[?25h") > self.raw.rfind(b"\x1b[?25l")
        return left and shown and termios.tcgetattr(self.slave) == self.before

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)
        os.close(self.master)
        os.close(self.slave)


@contextmanager
def terminal(*args: str, columns: int = 80, rows: int = 24, **env: str) -> Iterator[Terminal]:
    """Python with these arguments in a terminal of that size."""
    found = Terminal([sys.executable, *args], columns, rows, env)
    try:
        yield found
    finally:
        found.close()
