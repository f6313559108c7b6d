"""The live view in a real terminal: whole screens, keys, resize, Ctrl-Z, and what is left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.surface.terminal import Terminal, terminal
from tests.surface.view_world import GOLDEN, SIZES
from tests.system.rig import Daemon, daemon, hosts_yaml, sim_servers

VIEWER = ("-m", "tests.surface.viewer")


def golden(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("columns", "rows"), SIZES)
@pytest.mark.parametrize("ascii_", [False, True])
def test_the_screen_is_the_frame(columns: int, rows: int, ascii_: bool) -> None:
    name = f"{columns}x{rows}{'-ascii' if ascii_ else ''}.txt"
    args = ("--ascii",) if ascii_ else ()
    with terminal(*VIEWER, *args, columns=columns, rows=rows) as tty:
        tty.until(lambda: tty.text == golden(name))
        tty.type("q")
        assert tty.end() == 0
        assert tty.given_back()
        assert tty.raw.endswith(b"over\r\n")


def colours(tty: Terminal) -> set[str]:
    return {cell.fg for row in tty.screen.buffer.values() for cell in row.values()}


def test_colours_are_drawn_unless_they_are_not_wanted() -> None:
    with terminal(*VIEWER) as tty:
        tty.until(lambda: tty.text == golden("80x24.txt"))
        assert {"green", "red", "brown"} <= colours(tty)
    with terminal(*VIEWER, NO_COLOR="1") as tty:
        tty.until(lambda: tty.text == golden("80x24.txt"))
        assert colours(tty) == {"default"}


def test_a_resize_is_drawn_in_the_new_size() -> None:
    with terminal(*VIEWER) as tty:
        tty.until(lambda: tty.text == golden("80x24.txt"))
        tty.resize(160, 50)
        tty.until(lambda: tty.text == golden("160x50.txt"))
        tty.resize(80, 24)
        tty.until(lambda: tty.text == golden("80x24.txt"))


@pytest.mark.parametrize("how", ["q", "\x03", signal.SIGTERM])
def test_the_terminal_is_as_it_was_however_the_view_ends(how: str | signal.Signals) -> None:
    with terminal(*VIEWER) as tty:
        tty.until(lambda: tty.text == golden("80x24.txt"))
        assert not tty.given_back()
        if isinstance(how, signal.Signals):
            tty.process.send_signal(how)
        else:
            tty.type(how)
        assert tty.end() == 0
        assert tty.given_back()


def test_ctrl_z_gives_the_terminal_back_and_fg_draws_again() -> None:
    with terminal(*VIEWER) as tty:
        tty.until(lambda: tty.text == golden("80x24.txt"))
        tty.type("\x1a")
        tty.until(tty.stopped)
        tty.until(tty.given_back)
        tty.screen.reset()
        tty.process.send_signal(signal.SIGCONT)
        tty.until(lambda: tty.text == golden("80x24.txt"))
        assert not tty.given_back()
        tty.type("q")
        assert tty.end() == 0
        assert tty.given_back()


def test_keys_reach_the_view_and_its_actions_the_dispatcher() -> None:
    with terminal(*VIEWER) as tty:
        tty.until(lambda: tty.text == golden("80x24.txt"))
        tty.type("h\x1b[B")
        tty.until(lambda: tty.text == golden("80x24-host.txt"))
        tty.type("d")
        tty.until(lambda: "drain fenrir-chat" in tty.text.splitlines()[-1])
        tty.type("l")
        tty.until(lambda: tty.text == golden("80x24-log.txt"))
        tty.type("l/odin\r")
        tty.until(lambda: tty.text == golden("80x24-filter.txt"))
        tty.type("pq")
        assert tty.end() == 0
        assert b"over drain:fenrir-chat pause:" in tty.raw


@pytest.mark.parametrize("args", [(), ("FORCE_COLOR",)])
def test_nothing_is_drawn_into_a_pipe_or_a_dumb_terminal(
    args: tuple[str, ...], tmp_path: Path
) -> None:
    config = hosts_yaml(tmp_path / "hosts.yaml", {"a": "http://127.0.0.1:9"}, {"a": 1})
    running = Daemon(tmp_path, config)
    running.env |= dict.fromkeys(args, "1")
    running.start()
    running.stop()
    text = running.text()
    assert "\x1b" not in text
    assert "ready: 1 host" in text
    with terminal(
        "-m", "ygg", "loop", TERM="dumb", YGG_STATE=str(tmp_path / "s"), YGG_CONFIG=str(config)
    ) as tty:
        tty.until(lambda: b"ready: 1 host" in tty.raw)
        tty.type("\x03")
        assert tty.end() == 0
        assert b"\x1b" not in tty.raw


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    slots = {"a": 2, "b": 1}
    with sim_servers(tmp_path, 2.0, slots) as urls:
        yield hosts_yaml(tmp_path / "hosts.yaml", urls, slots)


def place(folder: Path, config: Path) -> dict[str, str]:
    return {
        "YGG_STATE": str(folder / "state"),
        "YGG_CONFIG": str(config),
        "XDG_RUNTIME_DIR": str(folder / "run"),
    }


def test_the_loop_in_the_foreground_drains_and_leaves_one_line(
    tmp_path: Path, config: Path
) -> None:
    (tmp_path / "run").mkdir()
    with terminal("-m", "ygg", "loop", **place(tmp_path, config)) as tty:
        tty.until(lambda: "2/2 hosts" in tty.text)
        tty.type("p")
        tty.until(lambda: "dispatch is paused" in tty.text)
        helper = Daemon(tmp_path, config)
        helper.env |= place(tmp_path, config)
        assert helper.ygg("submit", "work", "--title", "the work").returncode == 0
        tty.until(lambda: "queued 1 " in tty.text)
        tty.type("p")
        tty.until(lambda: "running 1 " in tty.text and "the work" in tty.text)
        tty.type("q")
        tty.until(lambda: "q again stops the dispatcher" in tty.text)
        tty.type("\x03")
        tty.until(lambda: "draining: waits for 1 call for " in tty.text)
        assert tty.end() == 0
        assert tty.given_back()
        last = tty.raw.rpartition(b"\x1b[?1049l")[2].decode()
        assert "ygg stopped after " in last
        assert "1 done and 0 failed in this run; 0 waiting, 0 blocked" in last
        assert last.strip().count("\n") == 0


def test_top_watches_a_daemon_and_leaves_it_running(tmp_path: Path, config: Path) -> None:
    with daemon(tmp_path, config) as target:
        env = {k: target.env[k] for k in ("YGG_STATE", "YGG_CONFIG", "XDG_RUNTIME_DIR")}
        with terminal("-m", "ygg", "top", **env) as tty:
            tty.until(lambda: "2/2 hosts" in tty.text)
            target.ygg("submit", "work", "--title", "the work")
            tty.until(lambda: "the work" in tty.text)
            tty.type("hd")
            tty.until(lambda: "running calls go on" in tty.text)
            assert "drained" in target.ygg("hosts").stdout
            tty.type("q")
            assert tty.end() == 0
            assert tty.given_back()
        assert target.answers()
        frame = target.ygg("top", "--once")
        assert "2/2 hosts" in frame.stdout
        assert "\x1b" not in frame.stdout
        assert target.ygg("top").returncode == 2


def test_top_says_so_when_the_daemon_goes_away_and_when_it_comes_back(
    tmp_path: Path, config: Path
) -> None:
    with daemon(tmp_path, config) as target:
        env = {k: target.env[k] for k in ("YGG_STATE", "YGG_CONFIG", "XDG_RUNTIME_DIR")}
        with terminal("-m", "ygg", "top", **env) as tty:
            tty.until(lambda: "2/2 hosts" in tty.text)
            target.kill()
            tty.until(lambda: "what you see is old" in tty.text)
            target.start()
            tty.until(lambda: "what you see is old" not in tty.text)
            os.kill(tty.process.pid, signal.SIGTERM)
            assert tty.end() == 0
            assert tty.given_back()


def test_top_without_a_daemon_says_how_to_start_one(tmp_path: Path) -> None:
    with terminal(
        "-m", "ygg", "top", YGG_STATE=str(tmp_path), XDG_RUNTIME_DIR=str(tmp_path)
    ) as tty:
        assert tty.end() == 69
        assert b"ygg loop --async" in tty.raw
        assert b"?1049h" not in tty.raw
