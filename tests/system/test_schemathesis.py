"""A running daemon, asked over TCP for all that /openapi.json says and for much that it does not: no 5xx, and every answer
is as described."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import httpx
import pytest

from tests.surface.test_tcp import free_port
from tests.system.rig import daemon, hosts_yaml, sim_servers
from ygg.desk import VERBS

SLOTS = {"a": 4}
BREAKS = "break"  #: in a prompt that the server refuses
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance",
)  # fmt: skip
ROOM = "capacity: 1000000, batch_capacity: 1000000"
#: Of what holds whole tasks there are over a thousand cases at the bounds: those are for the full size.
SPARED = """
[[operations]]
include-operation-id = ["submit_batch", "submit_part", "async_submit", "async_submit_batch"]
[operations.phases.coverage]
enabled = false
"""
#: The same requests each time, and those that another seed finds.
QUICK = ("--phases", "coverage,fuzzing", "--generation-deterministic", "--max-examples", "4")
FULL = ("--phases", "coverage,fuzzing", "--max-examples", "200", "--generation-database", "none")


def asked(folder: Path, *how: str, settings: str = "") -> dict[str, set[int]]:
    """Statuses by verb. AssertionError for what schemathesis finds wrong, with its words."""
    (folder / "schemathesis.toml").write_text(settings)
    where = f"127.0.0.1:{free_port()}"
    faults = {"by_prompt": {BREAKS: ["bad_request"] * 5000}}
    with sim_servers(folder, 0.005, SLOTS, faults=faults) as urls:
        rest = f"api: {{listen: '{where}'}}\npolicies: {{{ROOM}}}\n"
        with daemon(folder, hosts_yaml(folder / "hosts.yaml", urls, SLOTS, rest)) as target:
            statuses = _run(folder, f"http://{where}", *how)
            assert httpx.get(f"http://{where}/readyz").status_code == 200
            assert "Traceback" not in target.text()
            assert "unexpected error" not in target.text()
    return statuses


def _run(folder: Path, url: str, *how: str) -> dict[str, set[int]]:
    notes = folder / "notes"
    hooks = {
        "SCHEMATHESIS_HOOKS": "tests.system.asking",
        "YGG_ASKED_AT": url,
        "YGG_NOTES": str(notes),
        "YGG_BREAKS": BREAKS,
    }
    done = subprocess.run(
        [
            sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run", f"{url}/openapi.json",
            "--checks", ",".join(CHECKS), "--no-color", "--request-timeout", "20", *how,
        ],
        cwd=folder, env={**os.environ, **hooks, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    found: dict[str, set[int]] = defaultdict(set)
    for line in notes.read_text().splitlines():
        name, status = line.split()
        found[name].add(int(status))
    return found


@pytest.mark.timeout(300)
def test_no_request_is_answered_otherwise_than_described(tmp_path: Path) -> None:
    statuses = asked(tmp_path, *QUICK, settings=SPARED)
    vain = {v.name for v in VERBS if v.status not in statuses[v.name]}
    assert vain == {"openapi", "process_file"}, (
        "the document is read before anything is asked, and no made-up file is one ygg takes"
    )
    assert statuses["async_submit"] >= {202, 422}


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_nor_is_any_of_many_thousands(tmp_path: Path) -> None:
    asked(tmp_path, *FULL)
