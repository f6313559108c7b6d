"""Chapter D: cards. One that is lost blinds nobody, and nothing starts above the heat that stops."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.cases.house import House
from tests.cases.scripted import Reply, Script, scripted
from tests.probes import captures, machines, stub
from tests.probes.captures import RTX_2080_SUPER, RTX_4080_SUPER
from tests.system.rig import until

DONE = '{"message": {"content": "hi"}, "done": true, "done_reason": "stop"}'
SICK = (15, 999, 4)

Tell = Callable[
    [int, int | str | None], None
]  #: heat of the first card, and what the second answers


def start(folder: Path, server: Script, telemetry: str, env: dict[str, str]) -> House:
    path = folder / "hosts.yaml"
    host = (
        f"{{slots: 4, backend: ollama, url: '{server.url}', models: [m], telemetry: {telemetry}}}"
    )
    path.write_text(f"hosts:\n  surtr: {host}\ntask_types: {{general: {{route: [surtr]}}}}\n")
    home = House(folder, path)
    home.env |= env
    home.start()
    return home


@pytest.fixture(scope="module", params=["nvml", "ssh"])
def card_house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[House, Tell, tuple[int | str, ...]]]:
    """A daemon that watches two cards; `tell` says what they answer, and how the second may be sick."""
    folder = tmp_path_factory.mktemp("cards")
    with ExitStack() as stack:
        server = stack.enter_context(scripted(Reply(DONE)))
        make = by_nvml if request.param == "nvml" else by_ssh
        home, tell, ways = make(folder, server, stack)
        stack.callback(home.stop)
        yield home, tell, ways


def by_nvml(
    folder: Path, server: Script, stack: ExitStack
) -> tuple[House, Tell, tuple[int | str, ...]]:
    told = folder / "stub"

    def tell(heat: int, second: int | str | None) -> None:
        part = told.with_suffix(".part")
        lines = ["count=2", f"temperature0={heat}", *([f"error1={second}"] if second else [])]
        part.write_text("\n".join(lines) + "\n")
        part.replace(told)

    tell(55, None)
    library = stub.compiled(folder)
    env = {"LD_LIBRARY_PATH": str(library.parent), "YGG_STUB": str(told)}
    return start(folder, server, "{source: nvml, interval: 0.1s}", env), tell, SICK


def by_ssh(
    folder: Path, server: Script, stack: ExitStack
) -> tuple[House, Tell, tuple[int | str, ...]]:
    machine, home = machines.Machine(folder / "machine"), machines.Home(folder / "home")
    stack.callback(machine.end)
    sshd = stack.enter_context(machines.in_a_thread(machine, home.public))
    home.trust(sshd, folder / "state" / "known_hosts")

    def tell(heat: int, second: int | str | None) -> None:
        cards = captures.several(RTX_4080_SUPER, RTX_2080_SUPER)
        cards[0] |= {"temperature.gpu": str(heat)}
        cards[1] |= {"line": str(second)} if second else {}
        machine.tell(cards=cards)

    tell(55, None)
    uuid = RTX_2080_SUPER["uuid"]
    ways = (
        f"{uuid}, 1, 2, bus, name" + ", [GPU is lost]" * 7,
        f"{uuid}, ERR!",
        "garbage" + ",x" * 9,
    )
    telemetry = f"{{source: ssh, ssh: '{sshd.target}', interval: 0.1s}}"
    return start(folder, server, telemetry, {"HOME": str(folder / "home")}), tell, ways


def host(home: House) -> dict[str, object]:
    with closing(home.remote()) as desk:
        return dict(desk.hosts()["hosts"][0])


def shows(home: House, text: str) -> Callable[[], bool]:
    return lambda: text in str(host(home)["limit_reason"])


def names(home: House, word: str, text: str) -> Callable[[], bool]:
    """Whether a command tells it. On a slow machine a doctor may have no time for a reading over SSH at first."""

    def said() -> bool:
        ran = home.apart(word)
        return text in ran.stdout + ran.stderr

    return said


def test_one_lost_card_blinds_nobody(
    card_house: tuple[House, Tell, tuple[int | str, ...]],
) -> None:
    home, tell, ways = card_house
    home.end(home.submit("cool"))
    for way in ways:
        tell(55, way)
        until(shows(home, "GPU 1 is lost"), 20, f"{way} is noticed")
        assert host(home)["limit"] == 4, host(home)["limit_reason"]
    tell(91, ways[0])
    until(shows(home, "too hot: 91 °C"), 20, "the other card is read")
    task = home.submit("hot")
    assert "too hot: 91 °C; GPU 1 is lost" in home.ygg("why", task).stdout
    for word in ("status", "hosts", "doctor"):
        until(names(home, word, "GPU 1 is lost"), 60, f"{word} names it")
    until(lambda: "GPU 1" in home.text() and "is lost: " in home.text(), 5, "the log tells it")
    for way in (*ways, None):
        tell(91, way)
        until(lambda w=way: shows(home, "GPU 1 is lost")() == bool(w), 20, f"{way} is noticed")  # type: ignore[misc]
        assert home.task(task)["state"] == "queued"
    tell(55, None)
    assert json.loads(home.ygg("show", task, "--json").stdout)["attempt"] == 0


def test_a_daemon_that_starts_with_a_lost_card_watches_the_other(tmp_path: Path) -> None:
    with scripted(Reply(DONE)) as server, ExitStack() as stack:
        told = tmp_path / "stub"
        told.write_text("count=2\ntemperature0=91\nnvmlDeviceGetHandleByIndex_v21=15\n")
        library = stub.compiled(tmp_path)
        env = {"LD_LIBRARY_PATH": str(library.parent), "YGG_STUB": str(told)}
        home = start(tmp_path, server, "{source: nvml, interval: 0.1s}", env)
        stack.callback(home.stop)
        until(shows(home, "too hot: 91 °C; GPU 1 is lost"), 20, "the first reading")
        task = home.submit("hot")
        assert home.task(task)["state"] == "queued"
