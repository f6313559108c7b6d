"""`python -m tests.system.confined UNIT ARG…`: a program inside the system call filter of a unit file.

What systemd would set up from SystemCallFilter, SystemCallErrorNumber, RestrictAddressFamilies and
MemoryDenyWriteExecute, through libseccomp. A call outside gets EPERM.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import sys
from ctypes.util import find_library
from functools import cache
from pathlib import Path

ALLOW, DENY = 0x7FFF0000, 0x00050000 | errno.EPERM
EQUAL, MASKED_EQUAL = 4, 7
WRITE, EXEC = 2, 4
FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)

LIBRARY = find_library("seccomp")


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]  # fmt: skip


@cache
def members(name: str) -> frozenset[str]:
    """The system calls of one set of systemd, sets inside it included."""
    done = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    )
    words = [line.strip() for line in done.stdout.splitlines()[1:]]
    calls = [w for w in words if w and not w.startswith("#")]
    return frozenset().union(*(members(c) if c.startswith("@") else {c} for c in calls))


def allowed(unit: str) -> set[str]:
    """What the SystemCallFilter lines leave, in their order: names add, `~` names remove."""
    found: set[str] = set()
    for line in unit.splitlines():
        key, _, value = line.partition("=")
        if key == "SystemCallFilter":
            names = [members(n) if n.startswith("@") else {n} for n in value.lstrip("~").split()]
            found = found.difference(*names) if value.startswith("~") else found.union(*names)
    return found


def rules(name: str) -> list[Compare | None]:
    """The cases in which a call is let through; None: always."""
    if name == "mmap":
        return [Compare(2, MASKED_EQUAL, WRITE | EXEC, p) for p in (0, WRITE, EXEC)]
    if name in ("mprotect", "pkey_mprotect"):
        return [Compare(2, MASKED_EQUAL, EXEC, 0)]
    if name == "socket":
        return [Compare(0, EQUAL, family) for family in FAMILIES]
    return [None]


def confine(unit: str) -> None:
    """Put this process and its children under the filter."""
    lib = ctypes.CDLL(LIBRARY)
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Compare),
    ]  # fmt: skip
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    context = lib.seccomp_init(DENY)
    for name in sorted(allowed(unit)):
        number = lib.seccomp_syscall_resolve_name(name.encode())
        for rule in rules(name) if number >= 0 else []:
            args = (1, ctypes.byref(rule)) if rule else (0, None)
            assert lib.seccomp_rule_add_array(context, ALLOW, number, *args) == 0, name
    assert lib.seccomp_load(context) == 0


if __name__ == "__main__":
    confine(Path(sys.argv[1]).read_text())
    os.execv(sys.argv[2], sys.argv[2:])
