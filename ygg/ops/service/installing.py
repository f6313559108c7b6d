"""`ygg service`: the daemon as a systemd service, of the machine or of one person.

The unit templates lie in `units/`; they are whole units whose ExecStart is replaced by the ygg that is
running. Installing twice changes nothing; uninstalling keeps the tasks.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ygg.errors import InvalidInput, NotFound, YggError
from ygg.ops.service.steps import Remove, Run, Say, Step, Write, WriteOnce, carry_out, need

UNIT, SOCKET = "ygg.service", "ygg.socket"
STEPS_SINCE = 254  #: the systemd that waits longer after each crash, up to a bound
STEPS = "RestartSteps=8\nRestartMaxDelaySec=30s\n"
UNITS = Path(__file__).with_name("units")
#: What ProtectHome and PrivateTmp keep from the service.
HIDDEN = tuple(Path(p) for p in ("/home", "/root", "/run/user", "/tmp", "/var/tmp"))
NO_SESSION = "log in as this user, here or over SSH: sudo and su give no session of systemd"
INSTALL_ELSEWHERE = (
    "install it where every user can read it: sudo UV_TOOL_DIR=/opt/uv UV_TOOL_BIN_DIR=/usr/local/bin "
    "UV_PYTHON_INSTALL_DIR=/opt/uv/python uv tool install ygg, or: sudo pipx install --global ygg; "
    "or run it as yourself: ygg service install --user"
)
JOIN = "sudo usermod -aG ygg USER"


class Program(NamedTuple):
    """A ygg on this machine: how to start it, and all the places it needs for that."""

    command: tuple[str, ...]
    places: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a service goes: the machine, one person's services, or a system image below `root`."""

    user: bool = False
    root: Path = Path("/")

    @property
    def live(self) -> bool:
        """Is it the running system, so that services can be started?"""
        return self.root == Path("/")

    @property
    def config(self) -> Path:
        return (_home_config() if self.user else self.root / "etc") / "ygg/hosts.yaml"

    @property
    def unit(self) -> Path:
        folder = _home_config() / "systemd/user" if self.user else self.root / "etc/systemd/system"
        return folder / UNIT

    @property
    def socket(self) -> Path:
        return self.unit.with_name(SOCKET)

    @property
    def sysusers(self) -> Path:
        return self.root / "etc/sysusers.d/ygg.conf"

    def systemctl(self, *args: str, hint: str = "") -> Run:
        scope = ("--user",) if self.user else () if self.live else (f"--root={self.root}",)
        return Run(("systemctl", *scope, *args), hint or (NO_SESSION if self.user else ""))

    def journal(self) -> str:
        return f"journalctl {'--user ' if self.user else ''}-u ygg -n 50"


# --- verbs ----------------------------------------------------------------------------------------


def install(target: Target, say: Say, *, dry_run: bool = False, by: Program | None = None) -> None:
    """Write the unit, enable and start it. Raises YggError when this ygg cannot be a service there,
    when rights or systemd are missing, or when a step fails; the steps before it stay done."""
    program = by or running_program()
    if not target.user:
        _refuse_hidden(program)
    _check(target, dry_run)
    version = _systemd() if target.live else 0
    unit = Write(target.unit, unit_text(program.command, user=target.user, systemd=version))
    config = WriteOnce(target.config, example_config())
    outdated, fresh = target.unit.exists() and not unit.done(), not target.config.exists()
    carry_out(_install_steps(target, unit, config), say, dry_run=dry_run)
    _tell_installed(target, say, outdated=outdated, fresh=fresh)


def uninstall(target: Target, say: Say, *, dry_run: bool = False) -> None:
    """Stop, disable and remove the unit; tasks and configuration stay. Raises YggError as `install`."""
    if not target.unit.exists():
        say(f"{target.unit} is not there: nothing to do")
        return
    _check(target, dry_run)
    now = ("--now",) if target.live else ()
    steps: list[Step] = [target.systemctl("disable", *now, SOCKET, UNIT)]
    steps += [Remove(target.unit), Remove(target.socket)]
    if not target.user:
        steps.append(Remove(target.sysusers))
    if target.live:
        steps.append(target.systemctl("daemon-reload"))
    carry_out(steps, say, dry_run=dry_run)
    _tell_uninstalled(target, say)


def unit_text(command: tuple[str, ...], *, user: bool = False, systemd: int = 0) -> str:
    """The unit that starts this ygg, for that version of systemd. Raises InvalidInput when its path cannot stand in
    a unit."""
    text = _template("ygg.service", user)
    if systemd >= STEPS_SINCE:
        text = text.replace("RestartSec=500ms\n", f"RestartSec=500ms\n{STEPS}")
    start = " ".join(_quoted(word) for word in command)
    return text.replace("ExecStart=/usr/local/bin/ygg ", f"ExecStart={start} ")


def socket_text(*, user: bool = False) -> str:
    """The unit of the socket that the service listens on."""
    return _template("ygg.socket", user)


def _template(name: str, user: bool) -> str:
    found = name.replace("ygg.", "ygg-user.") if user else name
    return (UNITS / found).read_text(encoding="utf-8")


def _systemd() -> int:
    """The version of systemd here; 0 where there is none."""
    program = shutil.which("systemctl")
    if program is None:
        return 0
    said = subprocess.run((program, "--version"), capture_output=True, text=True, check=False)
    found = re.match(r"systemd (\d+)", said.stdout)
    return int(found[1]) if found else 0


def running_program() -> Program:
    """The ygg that runs now. A link such as /usr/local/bin/ygg is kept: upgrades move what it names."""
    import ygg

    started = Path(sys.argv[0]).absolute()
    script = started if started.name == "ygg" else Path(sys.executable).with_name("ygg")
    found = os.access(script, os.X_OK) and script.is_file()
    command = (str(script),) if found else (sys.executable, "-m", "ygg")
    needed = (command[0], sys.executable, sys.prefix, sys.base_prefix, ygg.__file__)
    return Program(command, tuple(Path(place) for place in needed))


def example_config() -> str:
    """The example hosts.yaml; what a shutdown cuts off is left to the service's default."""
    here = Path(__file__).parent
    for path in (here.parents[2] / "hosts.yaml", here / "hosts.yaml"):
        if path.exists():
            text = path.read_text(encoding="utf-8")
            return re.sub(r"(?m)^  (interrupted: block\b)", r"  # \1", text)
    raise NotFound("the example hosts.yaml is missing from this installation", hint="reinstall ygg")


# --- parts ----------------------------------------------------------------------------------------


def _install_steps(target: Target, unit: Write, config: WriteOnce) -> list[Step]:
    steps: list[Step] = [unit, Write(target.socket, socket_text(user=target.user)), config]
    if not target.user:
        root = () if target.live else (f"--root={target.root}",)
        users = Write(target.sysusers, (UNITS / "ygg.sysusers").read_text(encoding="utf-8"))
        steps = [users, Run(("systemd-sysusers", *root, "ygg.conf")), *steps]
    enable = target.systemctl("enable", SOCKET, UNIT)
    if not target.live:
        return [*steps, enable]
    # The service brings its socket up first; where an older one runs without, both come with its restart.
    start = target.systemctl("start", UNIT, hint=f"{target.journal()} says why")
    return [*steps, target.systemctl("daemon-reload"), enable, start]


def _check(target: Target, dry_run: bool) -> None:
    if target.user and not target.live:
        raise InvalidInput("--root is for the system service; it does not go with --user")
    if dry_run:
        return
    need("systemctl")
    if target.user and os.geteuid() == 0 and os.environ.get("SUDO_USER"):
        raise YggError("a user's service is installed by that user", hint="run it without sudo")
    if not target.user and target.live and os.geteuid() != 0:
        again = shutil.which(sys.argv[0]) or "ygg"
        raise YggError(
            "the system service needs root",
            hint=f"sudo {again} service ...; or `ygg service install --user` for one of your own",
        )


def _refuse_hidden(program: Program) -> None:
    """Raises YggError when the unit would hide a part of this ygg from its own service."""
    for place in program.places:
        for path in (place.absolute(), place.resolve()):
            if any(path.is_relative_to(home) for home in HIDDEN):
                raise YggError(
                    f"this ygg needs {path}, which is hidden from the service as every home and /tmp",
                    hint=INSTALL_ELSEWHERE,
                )


def _quoted(word: str) -> str:
    """A word of ExecStart. systemd allows no quotes, backslashes or `$` in a program's path."""
    if not word.isprintable() or set(word) & set("\"'\\$"):
        raise InvalidInput(
            f"systemd cannot start a program called {word!r}", hint="install ygg elsewhere"
        )
    word = word.replace("%", "%%")
    return f'"{word}"' if " " in word or ";" in word else word


def _home_config() -> Path:
    given = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(given) if given.startswith("/") else Path.home() / ".config"


def _tell_installed(target: Target, say: Say, *, outdated: bool, fresh: bool) -> None:
    sudo, scope = ("", " --user") if target.user else ("sudo ", "")
    if outdated and target.live:
        say(f"the unit changed; use it with: {sudo}systemctl{scope} restart ygg")
    if fresh:
        then = f", then: {sudo}systemctl{scope} reload ygg" if target.live else ""
        say(f"name your hosts in {target.config}{then}")
    if target.user:
        say("to run it while you are logged out: loginctl enable-linger")
    else:
        say(f"who submits tasks joins the group ygg and logs in again: {JOIN}")


def _tell_uninstalled(target: Target, say: Say) -> None:
    if target.user:
        say(f"kept: {target.config} and your tasks (~/.local/state/ygg)")
        return
    state = target.root / "var/lib/ygg"
    say(f"kept: {state} with the tasks, {target.config.parent}, and the user and group ygg")
