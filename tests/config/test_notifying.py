"""`notify:` in hosts.yaml: what an entry may say, what it means, and that no secret is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.test_config import GOOD, complaints
from ygg import config
from ygg.config.notify_forms import TargetForm
from ygg.config.notifying import FILES, OWN
from ygg.model.notices import EVENTS, Event, Mail, Target, TargetKind

SMTP = "email: me@example.org, server: 'smtp.example.org:587', sender: ygg@example.org"


def loaded(folder: Path, *entries: str, strict: bool = False) -> config.Config:
    path = folder / "hosts.yaml"
    path.write_text(f"{GOOD}notify:\n" + "".join(f"  - {{{e}}}\n" for e in entries))
    return config.load(path, strict=strict)


def problem(folder: Path, *entries: str) -> str:
    """The one thing that the check says, without file and line."""
    text = f"{GOOD}notify:\n" + "".join(f"  - {{{e}}}\n" for e in entries)
    (told,) = complaints(folder, text)
    return told.partition(": ")[2]


def test_without_entries_nobody_is_told(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(GOOD)
    assert config.load(tmp_path / "hosts.yaml").notify == ()


def test_every_kind_with_its_defaults(tmp_path: Path) -> None:
    found = loaded(
        tmp_path, "ntfy: 'https://ntfy.sh/house'", "webhook: 'http://ha:8123/api/webhook/ygg'", SMTP,
        "command: [notify-send, ygg]", "ntfy: 'http://ntfy.lan/b'",
    ).notify  # fmt: skip
    mail = Mail("smtp.example.org:587", "ygg@example.org", ("me@example.org",))
    assert found == (
        Target("ntfy", TargetKind.NTFY, "https://ntfy.sh/house"),
        Target("webhook", TargetKind.WEBHOOK, "http://ha:8123/api/webhook/ygg"),
        Target("email", TargetKind.EMAIL, mail=mail),
        Target("command", TargetKind.COMMAND, command=("notify-send", "ygg")),
        Target("ntfy-2", TargetKind.NTFY, "http://ntfy.lan/b"),
    )
    assert found[0].events == EVENTS
    assert (found[0].urgent, found[0].quiet, found[0].limit) == ((Event.HOT,), None, 12)


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    (found,) = loaded(
        tmp_path,
        "name: phone, webhook: 'http://h/x', events: [hot, blocked], quiet: '22:00-07:30', urgent: [], limit: 3, "
        "timeout: 30s, token_file: t, secret_file: ~/s",
    ).notify
    assert found == Target(
        "phone", TargetKind.WEBHOOK, "http://h/x", str(tmp_path / "t"), str(Path.home() / "s"),
        events=(Event.HOT, Event.BLOCKED), quiet=(22 * 60, 7 * 60 + 30), urgent=(), limit=3, timeout_s=30.0,
    )  # fmt: skip


def test_what_is_shown_reads_back_and_holds_no_secret(tmp_path: Path) -> None:
    for name in ("t", "s", "p"):
        (tmp_path / name).write_text("sesame")
    found = loaded(
        tmp_path, "ntfy: 'http://n/t', token_file: t, quiet: '01:05-02:00'", "webhook: 'http://n/t', secret_file: s",
        f"{SMTP}, user: me, password_file: p, tls: tls", "command: [a, b], events: hot", strict=True,
    )  # fmt: skip
    shown = json.loads(json.dumps(config.describe(found)))
    assert "sesame" not in json.dumps(shown)
    assert shown["notify"][2]["password_file"] == str(tmp_path / "p")
    body = {k: v for k, v in shown.items() if k not in ("schema", "source", "fingerprint")}
    assert config.from_dict(body, str(found.source)).notify == found.notify


def test_a_reload_tells_what_changed(tmp_path: Path) -> None:
    old = loaded(tmp_path, "ntfy: 'http://n/t'", "command: [a]")
    new = loaded(tmp_path, "ntfy: 'http://n/u'", "webhook: 'http://h/x'")
    assert config.differences(old, new) == [
        "notify command removed",
        "notify ntfy: ntfy http://n/t -> http://n/u",
        "notify webhook added",
    ]
    assert old.fingerprint != new.fingerprint


WRONG = {
    "name: a": "notify[0]: expected one of `ntfy`, `webhook`, `email` and `command`, got none",
    "ntfy: 'http://n/t', command: [a]": "notify[0]: expected one of `ntfy`, `webhook`, `email` and `command`, got `ntfy` and `command`",
    "ntfy: ftp://n/t": "notify[0].ntfy: expected http://HOST:PORT or https://HOST:PORT without user, query and fragment, got 'ftp://n/t'",
    "webhook: 'http://169.254.169.254/x'": "notify[0].webhook: expected the address of a model server, got 'http://169.254.169.254/x'; a cloud's metadata service would be asked there",
    "command: notify-send": "notify[0].command: expected a list, got 'notify-send'",
    "command: []": "notify[0].command: expected at least one entry, got an empty list",
    "command: [a], events: [hott]": f"notify[0].events: expected a list of {', '.join(EVENTS)}, got a list",
    "command: [a], events: []": "notify[0].events: expected at least one entry, got an empty list",
    "command: [a], events: [test]": f"notify[0].events: expected a list of {', '.join(EVENTS)}, got a list",
    "command: [a], quiet: 22-7": "notify[0].quiet: expected hours such as \"22:00-07:00\", in quotes, got '22-7'",
    "command: [a], quiet: '24:00-07:00'": "notify[0].quiet: expected hours such as \"22:00-07:00\", in quotes, got '24:00-07:00'",
    "command: [a], quiet: '07:00-07:00'": "notify[0].quiet: expected hours such as \"22:00-07:00\", in quotes, got '07:00-07:00'",
    "command: [a], limit: 0": "notify[0].limit: expected a whole number from 1 to 3600, got 0",
    "command: [a], token_file: t": "notify[0].token_file: expected `token_file` only with `ntfy` and `webhook`, got `command`",
    "ntfy: 'http://n/t', secret_file: t": "notify[0].secret_file: expected `secret_file` only with `webhook`, got `ntfy`",
    "ntfy: 'http://n/t', tls: off": "notify[0].tls: expected `starttls`, `tls` or `off`, got false",
    "email: me, server: 's:25', sender: a@b": "notify[0].email: expected a mail address such as me@example.org, got 'me'",
    "email: a@b, server: s, sender: a@b": "notify[0].server: expected HOST:PORT, such as smtp.example.org:587, got 's'",
    "email: a@b, server: 's:25'": "notify[0]: expected the key `sender`, got none",
    f"{SMTP}, user: me": "notify[0]: expected both `user` and `password_file`, or neither, got one",
    f"{SMTP}, user: me, password_file: p, tls: 'off'": "notify[0].tls: expected `starttls` or `tls`, got `off`; the password could be read on its way",
    "ntfy: 'http://n/t', tokenfile: t": "notify[0].tokenfile: expected a known key, got `tokenfile`; did you mean `token_file`?",
}  # fmt: skip


@pytest.mark.parametrize(("entry", "told"), WRONG.items())
def test_what_is_wrong_is_told_at_its_place(tmp_path: Path, entry: str, told: str) -> None:
    assert problem(tmp_path, entry) == told


def test_a_name_is_there_once(tmp_path: Path) -> None:
    told = problem(tmp_path, "name: a, command: [x]", "name: a, command: [y]")
    assert told == "notify[1].name: expected each name once, got `a` a second time"


def test_a_line_break_cannot_be_in_an_address(tmp_path: Path) -> None:
    for bad in ('"a@b\\nBcc: c@d"', '"a@b, c@d"', '"A <a@b>"'):
        assert "a mail address" in problem(tmp_path, f"email: {bad}, server: 's:25', sender: a@b")


@pytest.mark.parametrize("key", FILES)
def test_the_check_looks_at_the_files_and_tells_nothing_of_what_they_hold(
    tmp_path: Path, key: str
) -> None:
    entry = (
        f"{SMTP}, user: me, {key}: f"
        if key == "password_file"
        else f"webhook: 'http://h/x', {key}: f"
    )
    loaded(tmp_path, entry)
    with pytest.raises(config.ConfigError, match=rf"{key}: expected a file that holds a secret"):
        loaded(tmp_path, entry, strict=True)
    (tmp_path / "f").write_text("two\nlines of sesame")
    with pytest.raises(config.ConfigError) as caught:
        loaded(tmp_path, entry, strict=True)
    assert "sesame" not in caught.value.message
    (tmp_path / "f").write_text("sesame\n")
    assert loaded(tmp_path, entry, strict=True).notify


def test_the_keys_of_one_kind_are_keys_of_the_form() -> None:
    assert set(OWN) <= set(TargetForm.model_fields)
    assert set(FILES) <= set(OWN)
    assert replace(Target("a", TargetKind.NTFY)).timeout_s == TargetForm().timeout
