"""nvidia-smi over SSH, from a real sshd and from asyncssh's server: what is read, and what goes wrong."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.ops.fakes import free_port
from tests.probes import captures, machines
from tests.probes.captures import GB10, H200, RTX_2080_SUPER, RTX_4080_SUPER
from tests.probes.machines import Home, Machine, Server, until
from ygg.model import Process, Reading, Telemetry
from ygg.ports import ProbeFailed
from ygg.probes import smi, ssh_beside, ssh_session
from ygg.probes.login import Login
from ygg.probes.ssh import SshProbe

Probe = Callable[..., SshProbe]
EVERY_S = 0.05


@pytest.fixture
async def probe(home: Home) -> AsyncIterator[Probe]:
    """Makes probes of a server, or of a target, that are closed in the end."""
    made: list[SshProbe] = []

    def make(where: Server | str, key: Path | None = None, **telemetry: Any) -> SshProbe:
        target = where if isinstance(where, str) else where.target
        login = Login("surtr", target, home.known_hosts, key)
        settings = {"interval_s": EVERY_S, "timeout_s": 20.0} | telemetry
        made.append(SshProbe(login, Telemetry(**settings)))
        return made[-1]

    yield make
    for found in made:
        await found.close()


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first reading waits for its limits and processes on the slowest machine."""
    monkeypatch.setattr(ssh_beside, "FIRST_S", 20.0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silence is noticed after a fifth of a second."""
    monkeypatch.setattr(ssh_session, "SPARE_S", 0.1)


async def failure(probe: SshProbe) -> ProbeFailed:
    with pytest.raises(ProbeFailed) as caught:
        await probe.sample()
    assert str(caught.value).isprintable()
    assert caught.value.hint
    return caught.value


async def tried(probe: SshProbe) -> Reading | ProbeFailed:
    try:
        return await probe.sample()
    except ProbeFailed as why:
        return why


async def until_failure(probe: SshProbe, text: str = "") -> ProbeFailed:
    """The first failure with these words; before it readings that were under way, and other failures."""
    async with asyncio.timeout(30):
        while True:
            found = await tried(probe)
            if isinstance(found, ProbeFailed) and text in str(found):
                assert str(found).isprintable()
                return found


async def until_reading(probe: SshProbe) -> Reading:
    """The first reading; before it any failures."""
    async with asyncio.timeout(30):
        while True:
            found = await tried(probe)
            if isinstance(found, Reading):
                return found


def names(reading: Reading) -> list[str]:
    return [device.name for device in reading.devices]


# --- what is read ---------------------------------------------------------------------------------------


async def test_a_reading_tells_card_limits_and_processes(
    server: Server, machine: Machine, probe: Probe
) -> None:
    machine.tell(processes="41, /usr/bin/ollama, 6144\n")
    found = await probe(server).sample()
    (device,) = found.devices
    assert found.probe == "ssh"
    assert found.processes == (Process(41, "/usr/bin/ollama", 6144.0),)
    assert (device.total_mb, device.free_mb, device.temperature_c) == (16376, 15024, 41)
    assert (device.max_c, device.margin_c, device.reasons) == (90, None, 1)
    assert found.fault() is None


async def test_many_readings_are_one_command_on_one_connection(
    server: Server, machine: Machine, probe: Probe
) -> None:
    source = probe(server)
    for temperature in ("41", "42", "43"):
        card = RTX_4080_SUPER | {"temperature.gpu": temperature}
        machine.tell(cards=[card])
        while (await source.sample()).devices[0].temperature_c != float(temperature):
            pass
    assert len(machine.runs("query-gpu")) == 1
    assert len(machine.runs("-q -d TEMPERATURE")) == 1
    assert len(server.connections) <= 1


async def test_two_gpus_are_one_reading(server: Server, machine: Machine, probe: Probe) -> None:
    machine.cards(RTX_4080_SUPER, RTX_2080_SUPER)
    source = probe(server)
    for _ in range(3):
        found = await source.sample()
        assert names(found) == [RTX_4080_SUPER["name"], RTX_2080_SUPER["name"]]
        assert [d.max_c for d in found.devices] == [90, 90]


async def test_two_gpus_that_do_not_tell_their_number_are_one_reading(
    own_server: Server, machine: Machine, probe: Probe
) -> None:
    cards = [c | {"count": "[N/A]"} for c in captures.several(RTX_4080_SUPER, RTX_2080_SUPER)]
    machine.tell(cards=cards)
    source = probe(own_server, interval_s=1.0)
    for _ in range(2):
        assert len((await source.sample()).devices) == 2


async def test_a_card_that_regulates_by_margin_has_no_absolute_limit(
    own_server: Server, machine: Machine, probe: Probe
) -> None:
    machine.cards(H200)
    machine.tell(limits=captures.of(captures.HOPPER_LIMITS, H200))
    (device,) = (await probe(own_server).sample()).devices
    assert (device.margin_c, device.max_c) == (59, None)


async def test_a_unified_card_has_the_machines_memory(
    server: Server, machine: Machine, probe: Probe
) -> None:
    machine.cards(GB10)
    (device,) = (await probe(server).sample()).devices
    assert device.unified
    assert device.total_mb is not None
    assert device.free_mb is not None
    assert 0 < device.free_mb < device.total_mb


async def test_processes_whose_memory_is_not_told_are_unknown(
    own_server: Server, machine: Machine, probe: Probe
) -> None:
    machine.tell(processes="41, ollama.exe, [N/A]\n")
    assert (await probe(own_server).sample()).processes is None


async def test_processes_are_looked_at_more_slowly_than_cards(
    own_server: Server, machine: Machine, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_beside, "SLOWLY_S", 0.01)
    source = probe(own_server)
    assert (await source.sample()).processes == ()
    machine.tell(processes="7, game, 100\n")
    while not (await source.sample()).processes:
        pass
    assert len(machine.runs("-q -d TEMPERATURE")) == 1, "limits do not change"


# --- pacing and rest --------------------------------------------------------------------------------------


async def test_readings_keep_their_distance(own_server: Server, probe: Probe) -> None:
    source, now = probe(own_server, interval_s=0.2), asyncio.get_running_loop().time
    times = []
    for _ in range(4):
        await source.sample()
        times.append(now())
    assert all(b - a > 0.2 * 0.7 for a, b in itertools.pairwise(times)), times


async def test_rest_ends_the_command_on_the_other_machine(
    server: Server, machine: Machine, probe: Probe
) -> None:
    source = probe(server)
    await source.sample()
    (pid,) = machine.runs("query-gpu")
    await source.rest()
    await machine.gone(pid)
    await source.sample()
    assert len(machine.runs("query-gpu")) == 2
    await source.close()
    await source.close()
    await machine.gone(machine.runs("query-gpu")[1])


async def test_rest_before_any_sample_and_during_one_is_harmless(
    own_server: Server, machine: Machine, probe: Probe
) -> None:
    machine.tell(mode="wedge")
    source = probe(own_server)
    await source.rest()
    waiting = asyncio.create_task(source.sample())
    await machine.logged("wedged")
    await source.rest()
    with pytest.raises(ProbeFailed, match="was ended"):
        await waiting
    machine.tell(mode="")
    assert (await source.sample()).devices


async def test_a_slow_login_spans_several_samples(
    machine: Machine, home: Home, probe: Probe
) -> None:
    asked, open_now = asyncio.Event(), asyncio.Event()

    async def let_in(_path: str) -> bool:
        asked.set()
        return await open_now.wait()

    async with machines.asyncssh_server(machine, home.public, door=let_in) as server:
        home.trust(server)
        source = probe(server, timeout_s=0.1)
        for _ in range(3):
            assert "logging in takes longer than 0.1 s" in str(await failure(source))
        await asked.wait()
        open_now.set()
        await until_reading(source)
        assert len(server.connections) == 1


# --- nvidia-smi that behaves oddly --------------------------------------------------------------------------


async def test_an_old_driver_is_asked_by_the_old_name_and_that_is_kept(
    server: Server, machine: Machine, probe: Probe
) -> None:
    machine.tell(mode="old", unknown=["temperature.gpu.tlimit"])
    source = probe(server)
    (device,) = (await source.sample()).devices
    assert (device.reasons, device.margin_c) == (1, None)
    assert len(machine.runs("query-gpu")) == 3
    await source.rest()
    await source.sample()
    assert len(machine.runs("query-gpu")) == 4


def ways(machine: Machine) -> list[str]:
    """How rows were asked for, in order."""
    asked = [entry for entry in machine.log if "query-gpu" in entry]
    return [
        "single" if "-lms" not in e else "unbuffered" if "unbuffered" in e else "stream"
        for e in asked
    ]


@pytest.mark.parametrize(("mode", "works"), [("buffered", "unbuffered"), ("never", "single")])
async def test_lines_that_a_pipe_holds_back_are_had_another_way(
    quick: None, server: Server, machine: Machine, probe: Probe, mode: str, works: str
) -> None:
    machine.tell(mode=mode)
    source = probe(server, timeout_s=0.5)
    await until_reading(source)
    tried_ = ways(machine)
    assert tried_[:2] == ["stream", "unbuffered"]
    assert tried_[-1] == works
    await source.rest()
    await until_reading(source)
    assert set(ways(machine)[len(tried_) :]) == {works}, "what worked is remembered"


async def test_a_driver_that_hangs_is_no_reading_and_heals(
    quick: None, server: Server, machine: Machine, probe: Probe
) -> None:
    source = probe(server, timeout_s=0.5)
    await until_reading(source)
    machine.tell(mode="wedge")
    assert "reboot" in (await until_failure(source, "says nothing")).hint
    machine.tell(mode="")
    await until_reading(source)


async def test_no_sample_waits_longer_than_the_timeout(
    own_server: Server, machine: Machine, probe: Probe
) -> None:
    machine.tell(mode="wedge")
    source, now = probe(own_server, timeout_s=0.3), asyncio.get_running_loop().time
    begun = now()
    error = await failure(source)
    assert 0.3 <= now() - begun < 2
    assert "longer than 0.3 s" in str(error)


async def test_a_driver_that_goes_on_hanging_is_asked_ever_more_rarely(
    quick: None, own_server: Server, machine: Machine, probe: Probe
) -> None:
    machine.tell(mode="wedge")
    source = probe(own_server, timeout_s=0.05)
    source._habits.works = True
    patience = []
    for silences in (0, 2, 3, 6, 9, 100):
        source._habits.silences = silences
        session = ssh_session.Session(None, "h", source._telemetry, source._habits)  # type: ignore[arg-type]
        patience.append(session._patience_s(smi.Ticks()) / session._silence_s)
    assert patience == [1, 1, 2, 4, 8, 1024]


async def test_a_driver_that_dies_says_why_and_heals(
    server: Server, machine: Machine, probe: Probe
) -> None:
    source = probe(server)
    await source.sample()
    machine.tell(mode="dies", after=0)
    error = await until_failure(source)
    assert "exit 15" in str(error)
    assert "GPU is lost" in str(error)
    assert "reboot" in error.hint
    machine.tell(mode="")
    await source.sample()


async def test_a_failing_nvidia_smi_is_told_in_its_own_words_without_escape_codes(
    server: Server, machine: Machine, probe: Probe
) -> None:
    machine.tell(
        mode="fails", text="\x1b[31mFailed to initialize NVML: Driver/library version mismatch"
    )
    error = await failure(probe(server))
    assert "Driver/library version mismatch" in str(error)
    assert "reboot" in error.hint
    assert len(machine.runs("query-gpu")) == 1


async def test_without_nvidia_smi_it_says_so(
    server: Server, machine: Machine, probe: Probe
) -> None:
    machine.without_smi()
    error = await failure(probe(server))
    assert "no nvidia-smi" in str(error)
    assert "PATH" in error.hint


@pytest.mark.parametrize(("mode", "works"), [("", "stream"), ("never", "single")])
async def test_a_shell_that_knows_no_variables_is_understood(
    quick: None, own_server: Server, machine: Machine, probe: Probe, mode: str, works: str
) -> None:
    machine.windows = True
    machine.cards(GB10)
    machine.tell(mode=mode, processes="41, C:\\ollama.exe, 6144\n")
    found = await until_reading(probe(own_server, timeout_s=0.5))
    assert found.devices[0].max_c == 90
    assert found.processes == (Process(41, "C:\\ollama.exe", 6144.0),)
    assert found.devices[0].total_mb is None, "there is no /proc/meminfo"
    assert ways(machine)[-1] == works


async def test_nvidia_smi_without_a_word_is_an_error(
    own_server: Server, machine: Machine, probe: Probe
) -> None:
    machine.tell(mode="mute")
    assert "it ended (exit 0)" in str(await failure(probe(own_server)))


@pytest.mark.parametrize("text", ["1, 2, 3, 4, 5, 6", "\x1b[31mGPU-1, 0, 1, b, \x07name, 1, 2"])
async def test_rows_of_another_question_are_quoted_without_escape_codes(
    own_server: Server, machine: Machine, probe: Probe, text: str
) -> None:
    machine.tell(mode="garbage", text=text)
    error = await failure(probe(own_server))
    assert "expected 12 values" in str(error)
    assert "docs/operations.md" in error.hint


async def test_a_line_without_end_and_endless_chatter_are_errors(
    own_server: Server, machine: Machine, probe: Probe
) -> None:
    machine.tell(mode="endless")
    assert "a line of more than" in str(await failure(probe(own_server)))
    machine.tell(mode="garbage", text="\n".join(["hello"] * 200))
    assert "expected 12 values" in str(await failure(probe(own_server)))


async def test_a_greeting_of_the_shell_is_overlooked(
    server: Server, machine: Machine, probe: Probe
) -> None:
    machine.tell(greeting="Welcome, user\n\nToday: rain, wind")
    (device,) = (await probe(server).sample()).devices
    assert device.max_c == 90


# --- logging in -----------------------------------------------------------------------------------------


async def test_an_unknown_host_key_is_refused_whatever_ssh_config_says(
    server: Server, machine: Machine, home: Home, probe: Probe
) -> None:
    home.known_hosts.unlink()
    (home.ssh / "config").write_text(
        "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile none\n"
    )
    error = await failure(probe(server))
    assert "is not trusted" in str(error)
    assert error.hint == "ygg hosts trust surtr"
    assert machine.log == []


async def test_another_host_key_than_the_known_one_is_refused_loudly(
    server: Server, machine: Machine, home: Home, probe: Probe
) -> None:
    home.known_hosts.write_text(f"[127.0.0.1]:{server.port} {home.public}")
    error = await failure(probe(server))
    assert "another host key" in str(error)
    assert "ygg hosts trust surtr" in error.hint
    assert machine.log == []


async def test_a_host_without_a_key_of_the_known_kind_is_refused_too(
    server: Server, machine: Machine, home: Home, probe: Probe
) -> None:
    old = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    home.known_hosts.write_text(f"[127.0.0.1]:{server.port} {old}")
    error = await failure(probe(server))
    assert "another host key" in str(error) or "hung up" in str(error), "whoever notices first"
    assert "ygg hosts trust surtr" in error.hint
    assert machine.log == []


async def test_keys_that_openssh_knows_are_trusted_too(
    server: Server, home: Home, probe: Probe
) -> None:
    home.known_hosts.unlink()
    home.trust(server, home.ssh / "known_hosts")
    known = home.ssh / "known_hosts"
    known.write_text(f"broken\n@nonsense a b\n|1|x|y ssh-rsa\n{known.read_text()}\xff\n")
    await probe(server).sample()


async def test_a_login_that_is_refused_says_what_to_do(
    server: Server, home: Home, probe: Probe
) -> None:
    home.key_file.unlink()
    error = await failure(probe(server))
    assert "refuses the login" in str(error)
    assert "authorized_keys" in error.hint


async def test_a_key_with_a_passphrase_is_not_asked_for_it(
    server: Server, home: Home, probe: Probe
) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen: apt install openssh-client")
    command = ["ssh-keygen", "-p", "-P", "", "-N", "secret", "-f", str(home.key_file)]
    subprocess.run(command, check=True, capture_output=True)
    await failure(probe(server))
    error = await failure(probe(server, home.key_file))
    assert "Passphrase" in str(error)
    assert "agent" in error.hint


async def test_the_services_key_comes_before_all_others(
    server: Server, home: Home, probe: Probe, tmp_path: Path
) -> None:
    home.key_file.rename(tmp_path / "ssh_key")
    await failure(probe(server))
    await probe(server, tmp_path / "ssh_key").sample()


async def test_nobody_listening_is_told(home: Home, probe: Probe) -> None:
    error = await failure(probe(f"127.0.0.1:{free_port()}"))
    assert "connection refused" in str(error)
    assert "sshd" in error.hint


async def test_names_and_jumps_of_ssh_config_are_honoured(
    own_server: Server, machine: Machine, home: Home, probe: Probe
) -> None:
    home.key_file.rename(home.ssh / "gpu_key")
    async with machines.asyncssh_server(machine, home.public) as door:
        user = own_server.target.partition("@")[0]
        (home.ssh / "config").write_text(
            f"Host door\n  HostName 127.0.0.1\n  Port {door.port}\n"
            f"Host gpubox\n  HostName 127.0.0.1\n  Port {own_server.port}\n  ProxyJump door\n"
            f"Host *\n  User {user}\n  IdentityFile {home.ssh}/gpu_key\n"
        )
        home.trust(door, home.ssh / "known_hosts")
        await probe("gpubox").sample()
        assert len(door.connections) == 1


async def test_a_lost_connection_is_told_and_heals(
    own_server: Server, machine: Machine, probe: Probe
) -> None:
    source = probe(own_server)
    await source.sample()
    own_server.connections[0].abort()
    assert "connection" in str(await until_failure(source))
    await source.sample()
    assert len(own_server.connections) == 2


async def test_a_machine_that_freezes_is_noticed_and_holds_nobody_up(
    real_sshd: Server, machine: Machine, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ygg.probes.login.ALIVE_S", 0.1)
    monkeypatch.setattr("ygg.probes.login.BYE_S", 0.1)
    source = probe(real_sshd, interval_s=60.0)
    await source.sample()
    assert source._job is not None
    assert real_sshd.process is not None
    with machines.frozen(real_sshd.process.pid):
        await until(source._job.done)
        assert "lost" in str(source._job.exception())
        await asyncio.wait_for(source.close(), 5)


async def test_a_machine_with_one_session_tells_its_cards_alone(
    machine: Machine, home: Home, probe: Probe
) -> None:
    machine.cards(GB10, limits="")
    async with machines.asyncssh_server(machine, home.public, channels=1) as server:
        home.trust(server)
        found = await probe(server).sample()
        assert (found.processes, found.devices[0].total_mb) == (None, None)


async def test_a_machine_without_sessions_is_told(
    machine: Machine, home: Home, probe: Probe
) -> None:
    async with machines.asyncssh_server(machine, home.public, channels=0) as server:
        home.trust(server)
        error = await failure(probe(server))
        assert "opens no session" in str(error)
        assert "MaxSessions" in error.hint


@pytest.mark.parametrize("loop", [" -l 1", ""])
async def test_a_login_bound_to_one_command_is_enough(
    tmp_path: Path, machine: Machine, home: Home, probe: Probe, loop: str
) -> None:
    if machines.SSHD is None:
        pytest.skip("no sshd: apt install openssh-server")
    command = smi.Query().command + loop
    authorized = f'command="{command}",restrict {home.public}'
    with machines.openssh(tmp_path / "sshd", machine, authorized) as server:
        home.trust(server)
        source = probe(server, timeout_s=100.0)
        for _ in range(2):
            found = await source.sample()
            assert names(found) == [RTX_4080_SUPER["name"]]
            assert found.processes is None
            assert found.devices[0].max_c is None
        if loop:
            first, second = machine.runs("query-gpu")  # it, and the question about limits
            await until(lambda: not machines.alive(first) or not machines.alive(second))
            assert len(machine.runs("query-gpu")) == 2, "nothing more is asked"


async def test_keys_of_an_agent_are_used(
    real_sshd: Server, home: Home, probe: Probe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with machines.agent(tmp_path / "agent", home.key_file) as sock:
        home.key_file.unlink()
        await failure(probe(real_sshd))
        monkeypatch.setenv("SSH_AUTH_SOCK", sock)
        await probe(real_sshd).sample()
    assert os.environ["SSH_AUTH_SOCK"]
