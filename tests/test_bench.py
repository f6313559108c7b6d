"""The benchmark runs the parts that are named, and the simulated house of `bench.growth` does what it counts."""

from __future__ import annotations

import json

import pytest

import bench.__main__ as program
from bench import api, growth, mixes, scrape
from bench.makespan import contest


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two parts that only tell that they ran."""
    names: list[str] = []

    def part(name: str) -> program.Part:
        return lambda: names.append(name) or {"name": name}

    monkeypatch.setattr(program, "PARTS", {name: part(name) for name in ("drain", "pickup")})
    return names


def test_named_parts_alone_run_and_print_a_line_each(
    ran: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    page = program.PAGE.read_bytes()
    assert program.main(["pickup"]) == 0
    assert ran == ["pickup"]
    name, _, figures = capsys.readouterr().out.strip().partition(" ")
    assert (name, json.loads(figures)) == ("pickup", {"name": "pickup"})
    assert program.PAGE.read_bytes() == page


def test_an_unknown_part_runs_nothing_and_names_the_known_ones(
    ran: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["drain", "drian"]) == 2
    assert ran == []
    assert "drian; there are drain, pickup" in capsys.readouterr().err


def test_every_goal_is_of_a_part_that_exists() -> None:
    assert {section for _, section, *_ in program.GOALS} <= program.PARTS.keys()


@pytest.mark.parametrize("name", ["bare", "ygg"])
def test_a_contestant_runs_every_task_once(name: str) -> None:
    found = contest(name, 12, 0.0, timeout_s=60)
    assert (found["calls"], found["violations"]) == (12, 0)


@pytest.mark.parametrize(("hosts", "most"), [(1, 1.02), (2, 1.10), (3, 1.10)])
def test_no_random_mix_of_models_takes_longer_than_plain_order(hosts: int, most: float) -> None:
    assert max(mixes.ratio(seed, hosts) for seed in range(4)) <= most


def test_each_decision_of_the_simulated_house_fills_the_slot_that_was_freed() -> None:
    house = growth.full_house(hosts=3, types=2, depth=10)
    queued = sum(map(len, house.queued.values()))
    first, last = house.calls[0], house.calls[-1]
    house.end()
    assert house.calls[0].id != first.id
    assert house.calls[-1].id != last.id
    assert len(house.calls) == 3 * growth.SLOTS
    assert (queued, sum(map(len, house.queued.values()))) == (10, 9)


def test_the_parts_of_the_api_measure_what_was_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {
        "REQUESTS": 100, "ROUNDS": 1, "LINES": 50, "PART": 20, "BULK_ROUNDS": 1, "CALLS": 3, "CROWD": 20,
    }  # fmt: skip
    for name, value in small.items():
        monkeypatch.setattr(api, name, value)
    found = api.run()
    assert {key for _, section, key, *_ in program.GOALS if section == "api"} <= found.keys()
    assert all(v > 0 for name, v in found.items() if not name.endswith(("cpu_ms", "_lost")))
    assert (found["crowd_submits_lost"], found["crowd_polls_lost"]) == (0, 0)


def test_a_scrape_is_measured_beside_as_many_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TASKS": 50, "HOSTS": 2, "ROUNDS": 3, "GAP_S": 0.0}.items():
        monkeypatch.setattr(scrape, name, value)
    found = scrape.run()
    assert {key for _, section, key, *_ in program.GOALS if section == "scrape"} <= found.keys()
    assert (found["tasks"], found["hosts"]) == (50, 2)
    assert found["samples"] > 300
    assert min(found["ygg_ms"], found["constants_ms"]) > 0
