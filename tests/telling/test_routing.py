"""GPU or CPU for a file that came, by the figures of that moment."""

from __future__ import annotations

from typing import Any

import pytest

from ygg.model import GpuNeed
from ygg.telling.routing import Routing, Seen, ran, routed

BOTH = ("gpu", "cpu")


def decided(need: GpuNeed, content: str = "image/png", **seen: Any) -> tuple[str, str]:
    found = routed(need, content, Seen(**{"could": BOTH, "up": BOTH, "margin": 5, **seen}))
    return found.device, found.why


def test_what_prefers_a_gpu_goes_to_one_that_is_up() -> None:
    assert decided(GpuNeed.PREFERRED) == ("gpu", "content type 'image/png' benefits from GPU")
    assert decided(GpuNeed.REQUIRED) == ("gpu", "GPU required")


def test_a_cpu_is_taken_where_none_was_asked_for_or_it_would_not_help() -> None:
    assert decided(GpuNeed.NEVER) == ("cpu", "no GPU requested")
    why = "content type 'pdf' doesn't benefit from GPU"
    assert decided(GpuNeed.UNNEEDED, "pdf") == ("cpu", f"{why}, using CPU")
    told = f"{why}, but no CPU workers available"
    assert decided(GpuNeed.UNNEEDED, "pdf", up=("gpu",)) == ("gpu", told)


def test_without_gpu_hosts_that_are_up_it_falls_back() -> None:
    why = "GPU requested but no GPU workers available, falling back to CPU"
    assert decided(GpuNeed.PREFERRED, up=("cpu",)) == ("cpu", why)
    assert decided(GpuNeed.PREFERRED, could=("cpu",), up=None) == ("cpu", why)


def test_with_no_cpu_host_it_waits_for_a_gpu() -> None:
    assert decided(GpuNeed.PREFERRED, could=("gpu",), up=()) == ("gpu", "no CPU host runs it")


@pytest.mark.parametrize(("gpu", "device"), [(8, "gpu"), (9, "cpu")])
def test_a_gpu_queue_that_is_longer_by_more_than_the_margin_sends_it_to_a_cpu(
    gpu: int, device: str
) -> None:
    found = decided(GpuNeed.PREFERRED, gpu_waiting=gpu, cpu_waiting=3)
    assert found[0] == device
    assert device == "gpu" or found[1] == "GPU queue overloaded (9 vs 3), using CPU"


def test_where_nobody_knows_who_is_up_the_configuration_counts() -> None:
    assert decided(GpuNeed.PREFERRED, up=None)[0] == "gpu"
    assert decided(GpuNeed.UNNEEDED, up=None)[0] == "cpu"


def test_where_it_ran_is_what_counts_in_the_end() -> None:
    first = Routing("gpu", "GPU was there")
    assert ran(first, "gpu", "surtr") is first
    assert ran(first, "cpu", "vidar") == Routing(
        "cpu", "GPU was there; it ran on vidar, a CPU host"
    )
