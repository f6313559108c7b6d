"""A daemon as a process, against simulated servers in another: started, signalled, killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tests.surface.cli import typed
from tests.system import forked
from ygg.client import connect
from ygg.desk import Desk
from ygg.errors import Unavailable

YGG = [sys.executable, "-m", "ygg"]


def until(condition: Callable[[], Any], limit_s: float = 20.0, what: str = "") -> Any:
    """The first true answer of `condition`, asked often; AssertionError after `limit_s`."""
    give_up = time.monotonic() + limit_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < give_up, f"never happened: {what or condition}"
        time.sleep(0.02)


@contextmanager
def sim_servers(
    folder: Path, latency_s: float, slots: dict[str, int], **more: Any
) -> Iterator[dict[str, str]]:
    """URLs by host name."""
    specs = [
        {
            "name": n, "slots": s, "models": ["m"], "latency_s": latency_s,
            "records": str(folder / f"{n}.json"), **more,
        }
        for n, s in slots.items()
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "ygg.sim.servers", json.dumps(specs)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        lines = [json.loads(process.stdout.readline()) for _ in specs]
        yield {line["name"]: line["url"] for line in lines}
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def hosts_yaml(path: Path, urls: dict[str, str], slots: dict[str, int], policies: str = "") -> Path:
    hosts = "\n".join(
        f"  {n}: {{slots: {slots[n]}, backend: ollama, url: {url}, models: [m]}}"
        for n, url in urls.items()
    )
    names = list(urls)
    routes = "\n".join(f"  on-{n}: {{route: [{n}]}}" for n in names)
    path.write_text(
        f"hosts:\n{hosts}\ntask_types:\n  general: {{route: [{names[0]}]}}\n{routes}\n{policies}"
    )
    return path


class Daemon:
    """`ygg loop` over one state directory."""

    def __init__(self, folder: Path, config: Path, *args: str, fresh: bool = False) -> None:
        """`fresh`: Python starts anew for it, as it does where the environment is about that."""
        self.folder, self.config, self.args, self.fresh = folder, config, args, fresh
        self.state = folder / "state"
        self.output = folder / "daemon.out"
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("YGG_")},
            "YGG_STATE": str(self.state),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "YGG_CONFIG": str(config),
        }
        self.process: subprocess.Popen[bytes] | forked.Forked | None = None

    @property
    def database(self) -> Path:
        return self.state / "ygg.db"

    def peak_mb(self) -> float:
        """The most memory it ever had, in MB."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6

    def spawn(self) -> subprocess.Popen[bytes] | forked.Forked:
        (self.folder / "run").mkdir(exist_ok=True)
        with self.output.open("ab") as out:
            self.process = self._started(["loop", *self.args], out)
        return self.process

    def _started(self, words: list[str], out: IO[bytes]) -> subprocess.Popen[bytes] | forked.Forked:
        if not self.fresh and forked.may_have(self.env):
            return forked.Forked(words, self.env, out)
        return subprocess.Popen(
            [*YGG, *words], env=self.env, stdout=out, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self) -> None:
        process = self.spawn()
        until(lambda: self.answers() or process.poll() is not None, 30, "the socket answers")
        assert process.poll() is None, self.text()

    def client(self) -> Desk | None:
        try:
            return connect(None, self.env)
        except Unavailable:
            return None

    def answers(self) -> bool:
        client = self.client()
        if client is not None:
            client.close()
        return client is not None

    def remote(self) -> Desk:
        client = self.client()
        assert client is not None
        return client

    def text(self) -> str:
        return self.output.read_text()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, limit_s: float = 30) -> int:
        assert self.process is not None
        return self.process.wait(limit_s)

    def stop(self) -> int:
        if self.process is None or self.process.poll() is not None:
            return 0
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGTERM)
        return self.wait()

    def ygg(self, *args: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
        """One command in the daemon's environment, in this process: a fifth of the time. What a process of its own is
        needed for: `apart`."""
        ran = typed(*args, stdin=stdin or b"", env=self.env)
        return subprocess.CompletedProcess(args, ran.code, ran.out, ran.err)

    def apart(self, *args: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
        """One command as a process."""
        done = subprocess.run(
            [*YGG, *args], env=self.env, input=stdin, capture_output=True, timeout=60
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )


@contextmanager
def daemon(folder: Path, config: Path, *args: str, fresh: bool = False) -> Iterator[Daemon]:
    """A started daemon, ended whatever happens."""
    running = Daemon(folder, config, *args, fresh=fresh)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def running(target: Daemon, task_id: str) -> bool:
    """Whether a host works on the task now. Asked over the socket: a process would take too long."""
    client = target.remote()
    try:
        return bool(client.show(task_id)["state"] == "processing")
    finally:
        client.close()
