"""A daemon that tells: a real host goes down and comes back; a dead target costs nothing; a reload takes another list."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

from tests.surface.test_notify import hook
from tests.system.rig import Daemon, daemon, hosts_yaml, sim_servers, until


def configure(path: Path, urls: dict[str, str], *entries: str) -> Path:
    lines = "".join(f"  - {{{e}}}\n" for e in entries)
    return hosts_yaml(path, urls, dict.fromkeys(urls, 2), f"notify:\n{lines}")


def trouble(target: Daemon) -> str | None:
    client = target.remote()
    try:
        told: str | None = client.status(probe=False)["daemon"]["notify_error"]
        return told
    finally:
        client.close()


def test_dead_letters_are_told_by_the_targets_of_a_reload_while_another_hangs(
    tmp_path: Path,
) -> None:
    slots = {"a": 2}
    deaf = socket.create_server(("127.0.0.1", 0))
    dead = f"name: dead, webhook: 'http://127.0.0.1:{deaf.getsockname()[1]}/x', timeout: 60s"
    with deaf, sim_servers(tmp_path, 0.01, slots) as urls, hook() as (url, got):
        config = configure(tmp_path / "hosts.yaml", urls, dead)
        with daemon(tmp_path, config) as running:
            configure(config, urls, dead, f"name: live, webhook: '{url}'")
            running.signal(signal.SIGHUP)
            until(lambda: "notify live added" in running.text(), what="the reload")
            running.ygg("submit", "bad", "--title", "Bad\x1b[31m one", "--timeout", "0.001")
            until(lambda: got, 60, what="a message")
            ids = [running.ygg("submit", f"task {n}").stdout.strip() for n in range(3)]
            assert all(running.ygg("wait", i, "--timeout", "20").returncode == 0 for i in ids)
            assert trouble(running) is None  # the dead one has not been given up yet
    (told,) = got
    (notice,) = told["notices"]
    assert notice["event"] == "dead_letter"
    assert notice["title"] == "1 dead letter"
    assert notice["text"].startswith("Bad[31m one (")
    assert "\x1b" not in json.dumps(told, ensure_ascii=False)
