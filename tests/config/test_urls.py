"""Addresses of model servers: what can be none is refused, with the reason."""

from __future__ import annotations

import pytest

from ygg.config.urls import LINK_LOCAL, METADATA, WrongUrl, server_url

GOOD = [
    "http://surtr:11434",
    "https://surtr.lan",
    "http://a.b.",
    "http://my_box:1",
    "http://127.0.0.1:11434/v1",
    "http://[::1]:8080",
    "http://192.168.1.5",
    "http://100.64.0.9:1",
    "http://[fd12::5]:1",
    "http://host1",
    "http://xn--bcher-kva.example",
    "http://0.0.0.0:11434",
    "http://[fe80::1]:1",
]


@pytest.mark.parametrize("url", GOOD)
def test_what_can_be_a_model_server_is_taken(url: str) -> None:
    assert server_url(f"{url}/") == url


@pytest.mark.parametrize(
    ("urls", "hint"),
    [
        ("169.254.169.254 169.254.170.2 [::ffff:169.254.169.254] [fd00:ec2::254] 100.100.100.200", METADATA),
        ("metadata.google.internal METADATA.google.internal. metadata", METADATA),
        ("169.254.1.1 169.254.255.255 [::ffff:169.254.1.1]", LINK_LOCAL),
        ("2130706433 0 0x7f000001 127.1 0177.0.0.1 300.1.1.1 1.2.3.4.5 2852039166 0xa9.254.169.254 host.7", "is neither"),
        ("a..b .a -a a- a.-b.c a.b..", "can be none"),
        (f"{'x' * 64}.lan {'x.' * 130}lan", "can be none"),
        ("", ""),
        ("user@surtr user:key@surtr surtr?a=1 surtr#a surtr:0 surtr:x [::1 sur\u200btr", ""),
    ],
)  # fmt: skip
def test_what_can_be_none_is_refused(urls: str, hint: str) -> None:
    for host in urls.split(" "):
        for url in (f"http://{host}", f"https://{host}/v1"):
            with pytest.raises(WrongUrl) as caught:
                server_url(url)
            assert caught.value.hint.endswith(hint)


@pytest.mark.parametrize(
    "value", [None, 3, "", "surtr:11434", "ftp://surtr", "http://" + "a" * 3000]
)
def test_what_is_no_url_is_told_the_form(value: object) -> None:
    with pytest.raises(WrongUrl, match="http://HOST:PORT or https://HOST:PORT"):
        server_url(value)
