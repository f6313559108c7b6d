"""Writes docs/cli.md: `python -m tests.surface.cli_doc > docs/cli.md`.

Commands, arguments and options come from the command tree itself; every example was run, against the
real API over pretended hosts. Ids and times differ from run to run, so the test compares them masked.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.shell.readings import past
from tests.surface.cli import Cli
from tests.surface.view_world import utc
from tests.surface.world import served
from ygg.cli.app import app

HOME = "/home/ada"

INTRO = """\
# Command line

```
ygg [--config FILE] [--socket PATH] [--debug] COMMAND ...
```

- **With or without a daemon.** Commands reach the daemon of the queue that is meant over its unix socket; a queue that no daemon
  has they work on themselves, and say so. `--socket` or `$YGG_SOCKET` means that daemon and nothing else, `$YGG_STATE` the queue in
  that directory; else an installed service, else `$XDG_STATE_HOME/ygg` (`~/.local/state/ygg`): [which queue](concepts.md#the-desk).
  A socket that is there but may not be opened is an error: a task is never queued where nobody looks.
- **Data to stdout, words to stderr.** A pipe gets plain text that is never cut or coloured. Foreign text loses its escape codes,
  bidirectional controls and line separators everywhere but in the answer itself, which a pipe gets as the model gave it. `--json`
  prints one JSON value: on one line for a pipe, indented for a terminal; there such characters are `\\u` escapes.
- **Streams** may be closed, or read by nobody (`| head`): that is no error. One that knows no Unicode gets the ASCII form.
- **Ids** may be shortened to their last 4 or more characters as long as they fit one task alone.
- **Durations** are seconds or `90s`, `10m`, `2h`, `1d`; **moments** are durations from now or ISO times.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed: the task, a host that is down, a conflict |
| 2 | wrong usage or input |
| 3 | no such task, file or host |
| 69 | daemon or store cannot be reached or used now |
| 75 | waited as long as asked; the task goes on |
| 77 | not allowed |
| 78 | hosts.yaml is wrong |
| 130 | interrupted by Ctrl-C; the task goes on |

This page is written by `python -m tests.surface.cli_doc`; every example was run.
"""

# `{1}` is the id of the first task submitted in this scene, and so on.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "submit": (
        'ygg submit "Explain write-ahead logging in one paragraph"',
        'ygg submit "Name three uses of awk" -t chat -p high --title awk',
        "git diff | ygg submit -p low --system 'Write a commit message.'",
        'ygg submit "Say hello" -t chat --wait',
        "ygg submit --jsonl tasks.jsonl",
    ),
    "list": ("ygg list", "ygg list --queue"),
    "show": ("ygg show {2}",),
    "result": ("ygg result {2}",),
    "wait": ("ygg wait {2}", "ygg wait {1} --timeout 0.1"),
    "why": ("ygg why {3}",),
    "status": ("ygg status",),
    "prioritize": ("ygg prioritize {3} high",),
    "cancel": ("ygg cancel {3}",),
    "retry": ("ygg retry {3}",),
    "hosts": ("ygg hosts",),
    "hosts drain": ("ygg hosts drain fenrir",),
    "hosts probe": ("ygg hosts probe",),
    "hosts resume": ("ygg hosts resume fenrir",),
    "batch list": ("ygg submit --jsonl good.jsonl --batch", "ygg batch list"),
    "token create": ("ygg token create grafana --scope read --expires 90d",),
    "token list": ("ygg token list",),
    "token revoke": ("ygg token revoke grafana",),
    "tune": ("ygg tune",),
    "queue": ("ygg queue",),
    "queue pause": ("ygg queue pause",),
    "queue resume": ("ygg queue resume",),
    "config check": ("ygg config check",),
    "config path": ("ygg config path",),
}
JSONL = '{"prompt": "one"}\n{"prompt": "two", "priorty": 1}\n{"prompt": "three"}\n'


GOOD = '{"prompt": "one"}\n{"prompt": "two"}\n'


class Scene:
    """Runs examples one after the other in one home: `surtr` is slow, `fenrir` quick."""

    def __init__(self, cli: Cli) -> None:
        self.cli, self.ids = cli, list[str]()
        (cli.folder / "tasks.jsonl").write_text(JSONL)
        (cli.folder / "good.jsonl").write_text(GOOD)

    def run(self, line: str) -> str:
        """The command as typed, and what it printed."""
        for place in range(len(self.ids), 0, -1):
            line = line.replace(f"{{{place}}}", self.ids[place - 1])
        stdin = "diff --git a/a b/a" if "|" in line else None
        args = [str(self.cli.folder / a) if a.endswith(".jsonl") else a
                for a in shlex.split(line.split("|")[-1])[1:]]  # fmt: skip
        ran = self.cli(*args, stdin=stdin)
        if args[0] == "submit" and "--jsonl" not in args and "--wait" not in args:
            self.ids.append(ran.out.strip())
        text = f"$ {line}\n{ran.out}{ran.err}".replace(f"{self.cli.folder}/tasks", "tasks")
        return text.replace(str(self.cli.folder), HOME)


def written() -> str:
    """The page."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch, utc():
        cli = Cli(Path(folder), patch)
        with served(cli.socket) as home:
            home.surtr.latency_s = 3600
            asyncio.run(home.house.store.record_minutes(past(400)))
            scene = Scene(cli)
            return "\n".join([INTRO, *(_section(*c, scene) for c in commands())])


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name, those of EXAMPLES in the order of the scene first."""
    found = dict(_walk(typer.main.get_command(app), ""))
    for name in [*EXAMPLES, *(n for n in found if n not in EXAMPLES)]:
        yield name, found[name]


def _walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Commands, and groups that do something on their own."""
    below = getattr(command, "commands", None)
    if below is None or (name and command.invoke_without_command):
        yield name, command
    for part, inner in (below or {}).items():
        yield from _walk(inner, f"{name} {part}".strip())


def _section(name: str, command: Any, scene: Scene) -> str:
    words = [f"## ygg {name}", command.help or ""]
    if command.params:
        rows = [_row(p) for p in command.params]
        words.append("\n".join(["| argument | meaning |", "|---|---|", *rows]))
    shown = [scene.run(line) for line in EXAMPLES.get(name, ())]
    if shown:
        words.append("```\n" + "\n".join(shown) + "```")
    return "\n\n".join(words) + "\n"


def _row(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"| `{param.metavar or param.name.upper()}` | {param.help} |"
    names = ", ".join([*param.opts, *param.secondary_opts])
    value = "" if param.is_flag else f" {param.metavar or param.type.name.upper()}"
    return f"| `{names}{value}` | {param.help} |"


_VOLATILE = (
    (re.compile(r"\b[0-9a-z]{9}-[0-9a-z]{6}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)"), "TIME"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "CLOCK"),
    (re.compile(r"\b\d+(\.\d+)?(ms| ms|s)\b"), "SOME"),
    (re.compile(r"\bygg_[\w-]{43}"), "TOKEN"),
    (re.compile(r"\d{4}-\d\d-\d\d "), ""),
    (re.compile(r" +"), " "),
)  # fmt: skip


def masked(page: str) -> str:
    """Without what differs from run to run."""
    for pattern, word in _VOLATILE:
        page = pattern.sub(word, page)
    return page


if __name__ == "__main__":
    print(written(), end="")
