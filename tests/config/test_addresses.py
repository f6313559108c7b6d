"""Addresses that the API may listen on: what can be one, and who could connect there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.test_config import GOOD, complaints
from ygg import config
from ygg.config.addresses import address, exposed, open_to_others, refuse_open
from ygg.errors import ConfigError

GOOD_ONES = {
    "127.0.0.1:8420": "127.0.0.1:8420",
    "localhost:1": "127.0.0.1:1",
    "0.0.0.0:65535": "0.0.0.0:65535",
    "192.168.1.5:80": "192.168.1.5:80",
    "[::1]:8420": "[::1]:8420",
    "[::]:8420": "[::]:8420",
    "[FD12:0::5]:8420": "[fd12::5]:8420",
}
BAD = [
    "", "8420", ":8420", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:08420", "127.1:8420",
    "300.0.0.1:8420", "::1:8420", "[::1]", "[127.0.0.1]:8420", "[::1%lo]:8420", "surtr:8420", "http://127.0.0.1:8420",
    "127.0.0.1:8420/v1", " 127.0.0.1:8420", "127.0.0.1:8420\n", "127.0.0.1:٨٤٢٠", "LOCALHOST:8420",
]  # fmt: skip


@pytest.mark.parametrize(("text", "written"), GOOD_ONES.items())
def test_an_address_is_written_one_way(text: str, written: str) -> None:
    assert str(address(text)) == written


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_address_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="ADDRESS:PORT"):
        address(text)
    (told,) = complaints(tmp_path, f"{GOOD}api:\n  listen: [{text!r}]\n")
    assert "api.listen: expected ADDRESS:PORT such as 127.0.0.1:8420" in told


@pytest.mark.parametrize("value", ["8420", "{port: 8420}", "[8420]", "[[a]]", "true"])
def test_another_shape_is_refused_too(tmp_path: Path, value: str) -> None:
    (told,) = complaints(tmp_path, f"{GOOD}api: {{listen: {value}}}\n")
    assert "api.listen: expected ADDRESS:PORT" in told


def test_other_machines_reach_all_but_loopback() -> None:
    listen = ["127.0.0.1:1", "[::1]:1", "127.9.9.9:1", "0.0.0.0:1", "[::]:1", "192.168.1.5:1", "[fd12::5]:1"]  # fmt: skip
    assert open_to_others(listen) == listen[3:]


def loaded(folder: Path, api: str, env: dict[str, str] | None = None) -> config.Config:
    path = folder / "hosts.yaml"
    path.write_text(f"{GOOD}api: {api}\n")
    return config.load(path, env or {}, strict=True)


def test_one_address_is_a_list_of_one_and_each_is_there_once(tmp_path: Path) -> None:
    assert loaded(tmp_path, "{listen: 'localhost:8420'}").api.listen == ("127.0.0.1:8420",)
    twice = loaded(tmp_path, "{listen: ['localhost:8420', '127.0.0.1:8420', '[::1]:8420']}")
    assert twice.api.listen == ("127.0.0.1:8420", "[::1]:8420")


def test_an_address_open_to_others_takes_a_token_or_a_word(tmp_path: Path) -> None:
    found = loaded(tmp_path, "{listen: ['127.0.0.1:8420', '0.0.0.0:8420']}").api
    with pytest.raises(ConfigError, match=r"0.0.0.0:8420 is open to other machines"):
        refuse_open(found, lambda: False)
    refuse_open(found, lambda: True)
    refuse_open(replace(found, insecure=True), lambda: False)


def test_tokens_are_not_looked_for_where_nobody_else_can_connect(tmp_path: Path) -> None:
    def never() -> bool:
        raise AssertionError

    refuse_open(loaded(tmp_path, "{listen: '127.0.0.1:8420'}").api, never)


@pytest.mark.parametrize(
    ("said", "env", "insecure"),
    [
        ("", {}, False),
        ("", {"ALLOW_INSECURE_DEV": "true"}, True),
        ("", {"ALLOW_INSECURE_DEV": "1"}, True),
        ("", {"ALLOW_INSECURE_DEV": "FALSE"}, False),
        (", insecure: true", {}, True),
        (", insecure: true", {"ALLOW_INSECURE_DEV": "false"}, True),
        (", insecure: false", {"ALLOW_INSECURE_DEV": "true"}, False),
    ],
)
def test_the_file_says_whether_that_is_meant_else_the_environment(
    tmp_path: Path, said: str, env: dict[str, str], insecure: bool
) -> None:
    found = loaded(tmp_path, f"{{listen: '0.0.0.0:8420'{said}}}", env)
    assert found.api.insecure is insecure
    strict = replace(found.api, require_token=True)
    assert exposed(strict) is None, "everybody needs one after all"
    told = "anybody in the network may do everything at 0.0.0.0:8420"
    assert exposed(found.api) == (told if insecure else None)


def test_a_word_that_says_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ALLOW_INSECURE_DEV: expected true or false, got 'yep'"):
        loaded(tmp_path, "{}", {"ALLOW_INSECURE_DEV": "yep"})


def test_nothing_is_exposed_on_loopback(tmp_path: Path) -> None:
    assert exposed(loaded(tmp_path, "{listen: '[::1]:8420', insecure: true}").api) is None


@pytest.mark.parametrize("name", ["surtr.lan:8420", "http://surtr", "", "a b", "a..b"])
def test_a_further_name_is_one_of_a_machine(tmp_path: Path, name: str) -> None:
    (told,) = complaints(tmp_path, f"{GOOD}api:\n  hosts: [{name!r}]\n")
    assert "api.hosts[0]: expected a name of a machine" in told
