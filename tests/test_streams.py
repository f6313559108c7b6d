"""The standard streams of a process, whatever was made of them before it began."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from ygg import streams
streams.ready()
number = os.open("/dev/null", os.O_RDONLY)
print("words"), print("words", file=sys.stderr)
sys.exit(streams.trouble(sys.stdout) or streams.trouble(sys.stderr) or (number if number < 3 else 0))
"""


@pytest.mark.parametrize(
    "closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"]
)
def test_no_file_gets_the_number_of_a_stream(closed: str) -> None:
    command = ["bash", "-c", f'"$0" -c "$1" {closed}', sys.executable, PROGRAM]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran
    assert ran.stdout == ("" if ">&-" in closed.replace("2>&-", "") else "words\n")
    assert ran.stderr == ("" if "2>&-" in closed else "words\n")


@pytest.mark.parametrize(
    ("stream", "words"), [("stdout", "No space left"), ("stderr", "No space left")]
)
def test_what_could_not_be_written_is_known(stream: str, words: str) -> None:
    program = (
        f"from ygg import streams\nimport sys\nstreams.ready()\nstreams.put(sys.{stream}, 'x')\n"
    )
    program += f"sys.exit(0 if {words!r} in streams.trouble(sys.{stream}) else 1)"
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ran = subprocess.run([sys.executable, "-c", program], **{stream: full}, timeout=30)  # type: ignore[call-overload]
    assert ran.returncode == 0


@pytest.mark.parametrize("state", ["None", "closed"])
def test_streams_that_are_closed_inside_the_process_are_whole_again(state: str) -> None:
    program = (
        "import sys\n"
        + (
            "sys.stdout = sys.stderr = None\n"
            if state == "None"
            else "sys.stdout.close(); sys.stderr.close()\n"
        )
        + "from ygg.__main__ import run\nsys.exit(run(['--version']) or run(['config', 'path', '--json']) not in (0, 78))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=30).returncode == 0
