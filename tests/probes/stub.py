"""The stand-in driver: compiled once, told by a file what to answer."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import threading
from pathlib import Path

import pynvml
import pytest

from tests.probes.machines import until

CC = shutil.which("cc")
NO_CC = "no C compiler: apt install gcc"
FILE = "libnvidia-ml.so.1"

NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, FUNCTION_NOT_FOUND = 3, 4, 9, 13
UNINITIALIZED, GPU_IS_LOST, VERSION_MISMATCH, UNKNOWN = 1, 15, 18, 999


def compiled(folder: Path) -> Path:
    """The library; skips without a compiler."""
    if CC is None:
        pytest.skip(NO_CC)
    source = Path(__file__).with_name("nvml_stub.c")
    # Its own name is another one: once in this process, no other test must find it as the driver.
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-Wl,-soname,libygg-stub.so"]
    subprocess.run([CC, *flags, "-o", str(folder / FILE), str(source)], check=True)
    return folder / FILE


class Stub:
    """The driver of this process, for the length of a test."""

    def __init__(self, library: Path, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.library, self.file = library, folder / "stub"
        self.said: dict[str, object] = {}
        self.tell()
        patch.setenv("YGG_STUB", str(self.file))
        patch.setattr(pynvml, "nvmlLib", ctypes.CDLL(str(library)))
        patch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})

    def tell(self, **more: object) -> None:
        """Functions with error numbers, or values; None takes one back."""
        self.said = {k: v for k, v in (self.said | more).items() if v is not None}
        part = self.file.with_suffix(".part")
        part.write_text("".join(f"{k}={v}\n" for k, v in self.said.items()))
        part.replace(self.file)

    def calls(self, function: str = "") -> int:
        log = self.file.with_name("stub.log")
        told = log.read_text().splitlines() if log.exists() else []
        return len(told) if not function else told.count(function)

    async def called(self, function: str, times: int = 1) -> None:
        await until(lambda: self.calls(function) >= times)

    async def ended(self) -> None:
        """Wait until no thread of a probe is left."""
        self.tell(hang=None)
        await until(lambda: not threads())


def threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "nvml"]
