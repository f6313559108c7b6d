"""Fixtures: a machine with GPUs to log in to, and a home to do it from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.probes import machines, stub
from tests.probes.machines import Home, Machine, Server
from tests.surface.cli import Cli

NO_SSHD = "no sshd: apt install openssh-server"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    found = Machine(tmp_path / "machine")
    yield found
    found.end()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return Home(tmp_path / "home")


@pytest.fixture
def real_sshd(tmp_path: Path, machine: Machine, home: Home) -> Iterator[Server]:
    """OpenSSH's own, with its key trusted by ygg."""
    if machines.SSHD is None:
        pytest.skip(NO_SSHD)
    with machines.openssh(tmp_path / "sshd", machine, home.public) as server:
        home.trust(server)
        yield server


@pytest.fixture(params=["openssh", "asyncssh"])
async def server(
    request: pytest.FixtureRequest, tmp_path: Path, machine: Machine, home: Home
) -> AsyncIterator[Server]:
    """Each kind of server, with its key trusted by ygg."""
    async with AsyncExitStack() as stack:
        if request.param == "openssh":
            if machines.SSHD is None:
                pytest.skip(NO_SSHD)
            found = stack.enter_context(machines.openssh(tmp_path / "sshd", machine, home.public))
        else:
            found = await stack.enter_async_context(machines.asyncssh_server(machine, home.public))
        home.trust(found)
        yield found


@pytest.fixture
async def own_server(machine: Machine, home: Home) -> AsyncIterator[Server]:
    """asyncssh's, which can be told to misbehave, with its key trusted by ygg."""
    async with machines.asyncssh_server(machine, home.public) as found:
        home.trust(found)
        yield found


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stub.compiled(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
async def nvml(
    nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[stub.Stub]:
    """A driver that answers as it is told."""
    found = stub.Stub(nvml_library, tmp_path, monkeypatch)
    yield found
    await found.ended()


@pytest.fixture
def offline(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line without a daemon."""
    folder = tmp_path / "cli"
    folder.mkdir()
    return Cli(folder, monkeypatch)


@pytest.fixture
def threaded(machine: Machine, home: Home) -> Iterator[Server]:
    """asyncssh's server for tests of commands; nobody knows its host key."""
    with machines.in_a_thread(machine, home.public) as found:
        yield found
