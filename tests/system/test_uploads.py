"""A file that came with a task outlives the process that took it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.intake.test_contents import PNG
from tests.system.rig import Daemon, hosts_yaml, running, sim_servers, until

SLOTS = {"a": 1}


def test_a_file_is_found_again_after_kill_9(tmp_path: Path) -> None:
    with sim_servers(tmp_path, 1.0, SLOTS) as urls:
        daemon = Daemon(tmp_path, hosts_yaml(tmp_path / "hosts.yaml", urls, SLOTS))
        file = tmp_path / "picture"
        file.write_bytes(PNG)
        task_id = daemon.ygg("submit", "--attach", str(file)).stdout.strip()
        file.unlink()
        kept = daemon.state / "uploads" / task_id
        assert kept.read_bytes() == PNG
        daemon.start()
        until(lambda: running(daemon, task_id), what="it runs")
        daemon.kill()
        daemon.start()
        try:
            with closing(daemon.remote()) as desk:
                assert desk.wait(task_id, 30)["state"] == "completed"
                assert desk.show(task_id)["crashes"] <= 1
            assert kept.exists()
        finally:
            daemon.stop()
