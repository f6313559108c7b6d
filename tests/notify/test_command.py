"""Commands as targets: what they get, and that they end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.notify.places import DOWN, EVIL, UP
from ygg.model.notices import Target, TargetKind
from ygg.notify.letters import letter
from ygg.notify.sending import send
from ygg.notify.trying import NotSent


def python(code: str, *args: str, timeout_s: float = 20.0) -> Target:
    """A target that runs this."""
    command = (sys.executable, "-c", code, *args)
    return Target("run", TargetKind.COMMAND, command=command, timeout_s=timeout_s)


async def refused(target: Target) -> NotSent:
    with pytest.raises(NotSent) as caught:
        await send(target, letter([DOWN]))
    return caught.value


KEEP = """
import json, os, sys
named = {k: v for k, v in os.environ.items() if k in ("YGG_EVENT", "YGG_HOST", "YGG_TITLE", "YGG_TEXT", "HOME")}
told = {"stdin": sys.stdin.read(), "env": named, "argv": sys.argv[1:], "group": os.getpgid(0) == os.getpid()}
json.dump(told, open(sys.argv[1], "w"))
"""


async def test_it_gets_the_letter_on_stdin_and_its_words_in_the_environment(tmp_path: Path) -> None:
    what, out = letter([DOWN, replace(UP, title=EVIL)]), tmp_path / "out"
    await send(python(KEEP, str(out), "a b", "$HOME; true"), what)
    told = json.loads(out.read_text())
    assert json.loads(told["stdin"]) == what.body
    assert told["env"] == {
        "YGG_EVENT": "host_down host_up", "YGG_HOST": "surtr", "YGG_TITLE": what.title, "YGG_TEXT": what.text,
        "HOME": os.environ["HOME"],
    }  # fmt: skip
    assert told["argv"][1:] == ["a b", "$HOME; true"]  # no shell
    assert told["group"] is True


async def test_one_that_does_not_read_is_no_failure() -> None:
    big = letter([replace(DOWN, text="x" * 3000)] * 200)
    await send(python("import os; os.close(0)"), big)


async def test_another_end_is_told_with_its_last_words() -> None:
    error = await refused(python("import sys; sys.exit('no\\n bus \\x1b[31mhere')"))
    assert str(error).endswith(
        "python ended with 1: no bus [31mhere"
    ) or "ended with 1: no bus [31mhere" in str(error)
    assert error.again


async def test_a_program_that_is_not_there_is_told() -> None:
    error = await refused(Target("run", TargetKind.COMMAND, command=("/no/such/program",)))
    assert str(error) == "/no/such/program cannot be run: No such file or directory"


HANGS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "w").write(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def gone(*pids: int) -> None:
    give_up = time.monotonic() + 20
    while any(map(alive, pids)):
        assert time.monotonic() < give_up, "still there"
        await asyncio.sleep(0.02)  # for another process to end


async def test_one_that_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    out = tmp_path / "pids"
    error = await refused(python(HANGS, str(out), timeout_s=3.0))
    assert str(error) == "no answer within 3 s"
    await gone(*map(int, out.read_text().split()))


async def test_one_that_floods_its_streams_is_not_kept_in_memory() -> None:
    flood = "import sys\nfor _ in range(20): sys.stdout.write('x'*100000); sys.stderr.write('y'*100000)\nsys.exit(3)"
    error = await refused(python(flood))
    assert "ended with 3: yyy" in str(error)
    assert len(str(error)) <= 300
