"""A living systemd of its own: this machine's root, booted in a container that may write nothing to it.

What is written goes to memory, and the mounts belong to the container alone: they are gone when it ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.system.rig import until

BOOT_S = 60.0
TOOLS = ("systemd-nspawn", "nsenter", "unshare", "systemctl")
ROOT = Path(__file__).resolve().parents[2]
PYTHON, VENV, SOURCE = "/opt/ygg-python", "/opt/ygg", "/opt/ygg-source"
PACKAGES = f"{VENV}/packages"
HOME = "/opt/home"  #: of whoever runs commands inside
#: Fills a folder `$1` with a root whose lower layer is `/`, and boots it in place of this shell.
BOOT = """
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cp -a "$2/." "$1/root/"
exec systemd-nspawn --quiet --boot --directory="$1/root" --machine="ygg-$$" --register=no --keep-unit \
  --link-journal=no --private-network --console=passive "${@:3}"
"""


def missing() -> str:
    """Why there can be none here; empty when it may be tried."""
    if os.geteuid() != 0:
        return "only root can boot a systemd"
    tools = [tool for tool in TOOLS if shutil.which(tool) is None]
    if tools:
        return f"no {', '.join(tools)}: apt install systemd-container"
    tried = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if subprocess.run(tried, capture_output=True, check=False).returncode != 0:
        return "this machine lets nobody mount, as inside a plain container"
    return ""


@dataclass
class Booted:
    """The container while it runs."""

    leader: int  #: its first process, as seen from here

    def apart(self) -> bool:
        """Whether it is in a container at all: nothing of this may ever be done to the machine itself."""
        try:
            inside = Path(f"/proc/{self.leader}/ns/pid").readlink()
            return inside != Path("/proc/self/ns/pid").readlink()
        except FileNotFoundError:
            return False

    def run(self, *command: str, limit_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """A command inside, as its root with a home of its own."""
        assert self.apart()
        enter = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C"]
        home = ["env", "-i", f"HOME={HOME}", f"PATH={VENV}/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        return subprocess.run(
            [*enter, *home, *command], capture_output=True, text=True, timeout=limit_s, check=False
        )

    def ok(self, *command: str, limit_s: float = 60.0) -> str:
        """What a command says that must succeed."""
        done = self.run(*command, limit_s=limit_s)
        assert done.returncode == 0, done
        return done.stdout.strip()


@contextmanager
def booted(folder: Path, files: dict[str, str]) -> Iterator[Booted]:
    """The container until the block ends: ygg is installed in `/opt/ygg`, `files` are there by their path."""
    new, log = folder / "new", folder / "boot.log"
    _lay(new, files)
    (folder / "machine").mkdir()
    boot = ["bash", "-ec", BOOT, "boot", str(folder / "machine"), str(new), *_binds()]
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", *boot],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield _up(process, log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _up(process: subprocess.Popen[bytes], log: Path) -> Booted:
    """The container once everything in it has started."""

    def is_up() -> Booted | None:
        assert process.poll() is None, log.read_text(errors="replace")
        told = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        found = Booted(int(told[0])) if told else None
        if found is None or not found.apart():
            return None
        state = found.run("systemctl", "is-system-running", "--wait").stdout.strip()
        return found if state in ("running", "degraded") else None

    found: Booted = until(is_up, BOOT_S, f"it has booted, see {log}")
    found.ok("ldconfig")  # where a Python's own library lies
    return found


def _lay(new: Path, files: dict[str, str]) -> None:
    """A virtual environment of the Python and the packages that run this, at a place services may read."""
    version = f"python{sysconfig.get_python_version()}"
    launcher = f"#!{VENV}/bin/python\nimport sys\nfrom ygg.__main__ import main\nsys.exit(main())\n"
    given = {
        f"{VENV}/pyvenv.cfg": f"home = {PYTHON}/bin\n",
        f"{VENV}/bin/ygg": launcher,
        f"{VENV}/lib/{version}/site-packages/here.pth": f"{PACKAGES}\n{SOURCE}\n",
        "/etc/ld.so.conf.d/00-ygg-python.conf": f"{PYTHON}/lib\n",
    }
    for name, text in (given | files).items():
        path = new / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (new / HOME.lstrip("/")).mkdir()
    (new / f"{VENV}/bin/ygg".lstrip("/")).chmod(0o755)
    (new / f"{VENV}/bin/python".lstrip("/")).symlink_to(f"{PYTHON}/bin/{version}")


def _binds() -> list[str]:
    """What the container reads of this machine beside its root, wherever it is mounted."""
    bound = {
        sys.base_prefix: PYTHON,
        sysconfig.get_path("purelib"): PACKAGES,
        str(ROOT): SOURCE,
    }
    return [f"--bind-ro={here}:{there}" for here, there in bound.items()]
