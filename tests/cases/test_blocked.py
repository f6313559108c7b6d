"""What a shutdown cut off says what it cost and what to type, and is not forgotten at the next start."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

from tests.cases.house import House, config
from tests.cases.scripted import Reply, scripted
from tests.system.rig import until


def test_a_task_that_a_shutdown_cut_off_is_told_wherever_a_person_looks(tmp_path: Path) -> None:
    with scripted(Reply("@pause 60")) as server:
        path = tmp_path / "hosts.yaml"
        path.write_text(config({"surtr": server}, policies="{drain: 1s, interrupted: block}"))
        home = House(tmp_path, path)
        home.start()
        try:
            task = home.submit("x")
            later = home.submit("--not-before", "1h", "y")
            until(lambda: home.task(task)["state"] == "processing", 20, "it runs")
            home.signal(signal.SIGTERM)
            assert home.wait() == 0
            told = json.loads(home.ygg("show", task, "--json").stdout)
            assert told["state"] == "blocked"
            text = rf"cut off by a shutdown after \d+ s; ygg retry {task}"
            assert re.fullmatch(text, told["error"])
            home.start()
            until(lambda: "1 task is blocked" in home.text(), 20, "the start says so")
            assert "blocked 1" in home.ygg("status").stdout
            frame = until(lambda: _frame(home), 20, "it is counted")
            assert re.search(r"queued 0 .*later 1 .*blocked 1", frame)
            assert home.ygg("retry", "--blocked").returncode == 0
            until(lambda: home.task(task)["state"] == "processing", 20, "it runs again")
            assert home.task(later)["state"] == "scheduled"
        finally:
            home.stop()


def _frame(home: House) -> str:
    """One that shows that the counts are in."""
    frame = home.ygg("top", "--once").stdout
    return frame if "blocked" in frame.splitlines()[0] else ""
