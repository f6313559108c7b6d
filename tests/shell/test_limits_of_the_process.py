"""What the daemon asks of the system for itself: descriptors, and memory that goes back."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from ygg.running import descriptors


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"),
    [
        (1024, 524_288, 65_536),
        (1024, 4096, 4096),
        (4096, 4096, None),
        (1024, resource.RLIM_INFINITY, 65_536),
        (100_000, 524_288, None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_it_may_be(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, wanted: int | None
) -> None:
    now = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: now[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: now.append(pair))
    allowed = descriptors.raise_limit()
    assert now[1:] == ([] if wanted is None else [(wanted, hard)])
    assert allowed == (wanted or (descriptors.ENOUGH if soft == resource.RLIM_INFINITY else soft))


def test_a_service_that_may_not_ask_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refused)
    assert descriptors.raise_limit() == 1024


def test_memory_of_large_blocks_goes_back() -> None:
    code = """
from ygg.running.memory import give_back_large_blocks as give_back
give_back()
def resident():
    return int(open("/proc/self/status").read().split("VmRSS:")[1].split()[0]) // 1024
for _ in range(5):
    blocks = [bytearray(b"x") * (1 << 20) for _ in range(50)]
    kept = blocks[::5]
    del blocks
    print(resident())
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert max(map(int, done.stdout.split())) < 45
