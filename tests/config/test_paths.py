"""State directory and sockets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ygg import paths

HOME = {"HOME": "/home/me"}


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, "/home/me/.local/state/ygg"),
        ({"XDG_STATE_HOME": "/x"}, "/x/ygg"),
        ({"XDG_STATE_HOME": "relative"}, "/home/me/.local/state/ygg"),
        ({"STATE_DIRECTORY": "/var/lib/ygg", "XDG_STATE_HOME": "/x"}, "/var/lib/ygg"),
        ({"STATE_DIRECTORY": "/var/lib/ygg:/var/lib/other"}, "/var/lib/ygg"),
        ({"YGG_STATE": "/mine", "STATE_DIRECTORY": "/var/lib/ygg"}, "/mine"),
        ({"YGG_STATE": "~/mine"}, "/home/me/mine"),
    ],
)
def test_state_directory(env: dict[str, str], expected: str) -> None:
    assert paths.state_dir(HOME | env) == Path(expected)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, "/home/me/.local/state/ygg/ygg.sock"),
        ({"XDG_RUNTIME_DIR": "/run/user/1"}, "/run/user/1/ygg/ygg.sock"),
        ({"RUNTIME_DIRECTORY": "/run/ygg", "XDG_RUNTIME_DIR": "/run/user/1"}, "/run/ygg/ygg.sock"),
    ],
)
def test_socket_of_the_daemon(env: dict[str, str], expected: str) -> None:
    assert paths.daemon_socket(HOME | env) == Path(expected)


def test_clients_look_in_order_where_nobody_said_which_queue_is_meant() -> None:
    env = HOME | {"XDG_RUNTIME_DIR": "/run/user/1"}
    assert [str(p) for p in paths.usual_sockets(env)] == [
        "/run/user/1/ygg/ygg.sock",
        "/run/ygg/ygg.sock",
        "/home/me/.local/state/ygg/ygg.sock",
    ]


def test_a_service_of_ones_own_is_looked_for_at_its_own_sockets_alone() -> None:
    usual = Path("/run/user/7/ygg/ygg.sock")
    assert paths.user_sockets(HOME, 7) == [usual]
    assert paths.user_sockets(HOME | {"XDG_RUNTIME_DIR": "/run/user/7"}, 7) == [usual]
    found = paths.user_sockets(HOME | {"XDG_RUNTIME_DIR": "/run/other"}, 7)
    assert found == [usual, Path("/run/other/ygg/ygg.sock")]


def test_a_named_socket_is_the_one_of_the_command_before_that_of_the_environment() -> None:
    env = HOME | {"YGG_SOCKET": "~/named.sock"}
    assert paths.named_socket("/given.sock", env) == Path("/given.sock")
    assert paths.named_socket(None, env) == Path("/home/me/named.sock")
    assert paths.named_socket(None, HOME) is None


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"XDG_RUNTIME_DIR": "/run/user/1"},
        {"RUNTIME_DIRECTORY": "/run/ygg"},
        {"YGG_STATE": "/mine"},
    ],
)
def test_a_client_finds_the_daemon_wherever_it_listens(env: dict[str, str]) -> None:
    client = {k: v for k, v in env.items() if k != "RUNTIME_DIRECTORY"}  # only the service has it
    assert paths.daemon_socket(HOME | env) in paths.usual_sockets(HOME | client)


def test_only_the_standard_library_is_loaded() -> None:
    code = "import sys, ygg.paths; print(sorted(m for m in sys.modules if m.startswith('ygg')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['ygg', 'ygg.paths']"
