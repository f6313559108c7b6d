"""nvidia-smi's text: what real cards printed, and what no card should."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.probes import captures
from tests.probes.captures import Card
from ygg.model import Device, Process
from ygg.probes import smi

CARDS = [
    captures.RTX_4080_SUPER, captures.RTX_2080_SUPER, captures.H200, captures.H200_MIG, captures.GB10,
]  # fmt: skip
ABSENT = [
    "[N/A]", "N/A", "[Not Supported]", "[Requested functionality has been deprecated]", "",
    "[Function Not Found]", "[Unknown Error]", "[Insufficient Permissions]", "[GPU is lost]",
    "[A word that drivers will know in 2030]", "9223372036854775794", "18446744073709551615",
]  # fmt: skip
VALUES = {
    "memory.free": "free_mb",
    "temperature.gpu": "temperature_c",
    "temperature.gpu.tlimit": "margin_c",
    "power.draw": "power_w",
    "utilization.gpu": "utilization",
}


def device(card: Card, **changed: str) -> Device:
    query = smi.Query()
    return query.row(captures.line(card | changed, query.fields)).device


# --- rows -----------------------------------------------------------------------------------------------


def test_a_geforce_tells_everything_but_its_margin() -> None:
    assert device(captures.RTX_2080_SUPER) == Device(
        uuid="GPU-2080bbbb-0000-0000-0000-000000000002",
        name="NVIDIA GeForce RTX 2080 SUPER",
        total_mb=8192,
        free_mb=7571,
        temperature_c=33,
        reasons=1,
        power_w=39.17,
        utilization=0,
    )


def test_a_hopper_card_tells_its_margin() -> None:
    found = device(captures.H200)
    assert (found.margin_c, found.max_c, found.temperature_c) == (59, None, 28)
    assert found.reasons == 4
    assert not found.slowed


def test_a_card_that_runs_mig_is_one_card_without_utilisation() -> None:
    found = device(captures.H200_MIG)
    assert (found.utilization, found.total_mb) == (None, 143771)


def test_memory_that_is_not_supported_is_the_machines_own() -> None:
    found = device(captures.GB10)
    assert found.unified
    assert (found.total_mb, found.free_mb) == (None, None)
    assert smi.shared(found, (122570.0, 90000.0)).free_mb == 90000
    assert smi.shared(found, None) == found
    assert device(captures.GB10, **{"memory.total": "0", "memory.free": "0"}).unified


@pytest.mark.parametrize(
    "token", ["[Unknown Error]", "[GPU is lost]", "[Insufficient Permissions]"]
)
def test_memory_that_is_unknown_for_another_reason_is_nobodys(token: str) -> None:
    found = device(captures.RTX_4080_SUPER, **{"memory.total": token, "memory.free": token})
    assert not found.unified
    assert (found.total_mb, found.free_mb) == (None, None)
    whole = device(captures.RTX_4080_SUPER)
    assert smi.shared(whole, (1.0, 1.0)) == whole


@pytest.mark.parametrize("token", ABSENT)
@pytest.mark.parametrize("field", [*VALUES, smi.REASONS])
def test_an_absent_value_is_none_and_hides_no_other(field: str, token: str) -> None:
    whole, found = (
        device(captures.RTX_4080_SUPER),
        device(captures.RTX_4080_SUPER, **{field: token}),
    )
    if field == smi.REASONS and token.isdigit():
        return  # a mask is written in hexadecimal
    attribute = VALUES.get(field, "reasons")
    assert getattr(found, attribute) is None
    same = [a for a in Device.__slots__ if a != attribute]
    assert [getattr(found, a) for a in same] == [getattr(whole, a) for a in same]


def test_a_mask_that_says_blank_is_none() -> None:
    blank = {smi.REASONS: "0x7FFFFFFFFFFFFFF2"}
    assert device(captures.RTX_4080_SUPER, **blank).reasons is None
    hot = {smi.REASONS: "0x0000000000000060"}
    assert device(captures.RTX_4080_SUPER, **hot).slowed


@pytest.mark.parametrize("token", ["nan", "inf", "1e9", "12abc", "0x1F", "4 3", "--"])
def test_other_text_where_a_number_belongs_is_an_error_that_quotes_it(token: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        device(captures.RTX_4080_SUPER, **{"temperature.gpu": token})


def test_units_are_understood() -> None:
    found = device(captures.RTX_4080_SUPER, **{"memory.free": "7582 MiB", "power.draw": "39.17 W"})
    assert (found.free_mb, found.power_w) == (7582, 39.17)


@pytest.mark.parametrize("line", ["", "a, b", "GPU-1, 0, 1", ", ".join("x" * 13)])
def test_a_line_with_another_number_of_values_is_an_error_that_quotes_it(line: str) -> None:
    with pytest.raises(ValueError, match="expected 12 values, got") as caught:
        smi.Query().row(line)
    assert line in str(caught.value)


def test_a_gpu_without_an_identity_is_an_error() -> None:
    assert device(captures.RTX_4080_SUPER, uuid="[N/A]").uuid == "GPU 0"
    with pytest.raises(ValueError, match="neither"):
        device(captures.RTX_4080_SUPER, uuid="[N/A]", index="[N/A]")


@given(st.text())
def test_any_line_is_a_row_or_a_value_error(line: str) -> None:
    try:
        row = smi.Query().row(line)
    except ValueError:
        return
    assert row.device.uuid


@given(st.lists(st.one_of(st.sampled_from(ABSENT), st.text(max_size=8), st.floats().map(str)),
                min_size=12, max_size=12))  # fmt: skip
def test_any_values_are_sound_or_a_value_error(values: list[str]) -> None:
    try:
        found = smi.Query().row(",".join(values)).device
    except ValueError:
        return
    for name in ("total_mb", "free_mb", "temperature_c", "margin_c", "power_w", "utilization"):
        value = getattr(found, name)
        assert value is None or (math.isfinite(value) and value < smi.BLANK)
    assert (found.name + found.uuid).isprintable()


# --- what is asked --------------------------------------------------------------------------------------


def test_a_driver_that_knows_the_old_name_is_asked_for_that() -> None:
    complaint = 'Field "clocks_event_reasons.active" is not a valid field to query.'
    other = smi.Query().instead(complaint)
    assert other is not None
    assert "clocks_throttle_reasons.active" in other.command
    assert smi.REASONS not in other.command
    row = other.row(captures.line(captures.RTX_4080_SUPER, smi.Query().fields))
    assert row.device.reasons == 1
    assert other.instead(complaint) is None


def test_a_field_that_a_driver_does_not_know_is_left_out() -> None:
    other = smi.Query().instead('Field "temperature.gpu.tlimit" is not a valid field to query.')
    assert other is not None
    assert "tlimit" not in other.command
    row = other.row(captures.line(captures.H200, other.fields))
    assert (row.device.margin_c, row.device.temperature_c) == (None, 28)


def test_without_the_needed_fields_nothing_helps() -> None:
    assert smi.Query().instead('Field "memory.free" is not a valid field to query.') is None


def test_any_other_complaint_is_met_with_the_old_name_once() -> None:
    other = smi.Query().instead("something else")
    assert other is not None
    assert other.instead("something else") is None


def test_the_command_that_a_login_may_be_bound_to_is_on_its_page() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
    assert f'command="{smi.Query().command} -l 2",restrict' in page


# --- moments --------------------------------------------------------------------------------------------


def rows(*cards: Card, count: bool = True) -> list[smi.Row]:
    query = smi.Query()
    told = [card if count else card | {"count": "[N/A]"} for card in captures.several(*cards)]
    return [query.row(captures.line(card, query.fields)) for card in told]


def names(moment: tuple[smi.Row, ...]) -> list[str]:
    return [row.device.uuid[4:8] for row in moment]


def test_one_gpu_is_a_moment_at_once() -> None:
    ticks = smi.Ticks()
    (row,) = rows(captures.RTX_4080_SUPER)
    assert names(ticks.add(row)) == ["4080"]
    assert not ticks.pending


def test_several_gpus_are_one_moment() -> None:
    ticks, (first, second) = smi.Ticks(), rows(captures.RTX_4080_SUPER, captures.RTX_2080_SUPER)
    for _ in range(2):
        assert ticks.add(first) == ()
        assert names(ticks.add(second)) == ["4080", "2080"]


def test_a_gpu_that_shows_up_again_begins_the_next_moment() -> None:
    ticks, (first, second) = smi.Ticks(), rows(captures.RTX_4080_SUPER, captures.RTX_2080_SUPER)
    assert ticks.add(first) == ()
    assert names(ticks.add(first)) == ["4080"], "the second one was lost"
    assert names(ticks.add(second)) == ["4080", "2080"]


def test_without_a_count_a_moment_ends_with_the_next() -> None:
    ticks = smi.Ticks()
    both = rows(captures.RTX_4080_SUPER, captures.RTX_2080_SUPER, count=False)
    assert not any(map(ticks.add, both))
    assert not ticks.counted
    assert names(ticks.add(both[0])) == ["4080", "2080"]
    assert names(ticks.flush()) == ["4080"]
    assert ticks.flush() == ()


# --- limits, processes, errors --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (captures.GEFORCE_LIMITS, 90.0), (captures.GEFORCE_LIMITS_610, 89.0),
        (captures.HOPPER_LIMITS, None), (captures.HOPPER_LIMITS_610, None),
    ],
)  # fmt: skip
def test_limits_are_absolute_or_none(text: str, limit: float | None) -> None:
    card = captures.RTX_4080_SUPER
    assert smi.limits(captures.of(text, card)).get(card["pci.bus_id"]) == limit


def test_limits_belong_to_their_card() -> None:
    text = captures.of(captures.HOPPER_LIMITS, captures.H200) + captures.of(
        captures.GEFORCE_LIMITS, captures.RTX_2080_SUPER
    )
    assert smi.limits(text) == {"00000000:0C:00.0": 90.0}
    assert smi.limits("        GPU Max Operating Temp : 90 C") == {}, "of no card"
    assert smi.limits("GPU 00000000:01:00.0\n    GPU Max Operating Temp : 0 C\n") == {}


def test_processes_are_read_with_whatever_names_they_have() -> None:
    text = (
        "3150, /usr/bin/ollama, 6144\n\n6330, sglang::scheduler, 96073\n"
        "7, C:\\Games\\a, b.exe, 100\n8, ghost, [N/A]\n9, \x1b[31mred\x07, 1\n"
    )
    assert smi.processes(text) == (
        Process(3150, "/usr/bin/ollama", 6144),
        Process(6330, "sglang::scheduler", 96073),
        Process(7, "C:\\Games\\a, b.exe", 100),
        Process(9, "red", 1),
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()), ("8, game.exe, [N/A]\n", None), ("no devices", None), ("x, y, z", None),
        ("1, y, z", None), ("12, a, -", None),
    ],
)  # fmt: skip
def test_none_holding_memory_is_not_the_same_as_not_knowing(
    text: str, found: tuple[Process, ...] | None
) -> None:
    assert smi.processes(text) == found


@given(st.text())
def test_other_text_breaks_neither_limits_nor_processes(text: str) -> None:
    smi.limits(text)
    smi.meminfo(text)
    smi.processes(text)
    assert smi.plain(text).isprintable()


def test_text_of_a_remote_machine_loses_its_escape_codes() -> None:
    nasty = "\x1b[2J\x1b]0;title\x07NVIDIA\x1b[0m-SMI\r\n has\x00 failed\x9b31m " + "x" * 300
    assert smi.plain(nasty).startswith("NVIDIA-SMI has failed")
    assert smi.plain(nasty).isprintable()
    assert len(smi.plain(nasty)) == 200


def test_the_machines_own_memory() -> None:
    text = "MemTotal:       131334144 kB\nMemFree:  1 kB\nMemAvailable:   104857600 kB\n"
    assert smi.meminfo(text) == (128256.0, 102400.0)
    assert smi.meminfo("cat: /proc/meminfo: No such file or directory") is None


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("Failed to initialize NVML: Driver/library version mismatch", "reboot"),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", "load"),
        ("Unable to determine the device handle for GPU0000:01:00.0: GPU is lost.", "Xid"),
        ("No devices were found", "dmesg"),
    ],
)
def test_known_failures_come_with_advice(said: str, fix: str) -> None:
    assert fix in smi.advice(said)
    assert smi.advice("something else") == ""
