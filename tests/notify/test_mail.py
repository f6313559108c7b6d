"""Mail, against a real SMTP server."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.notify.places import DOWN, EVIL, PASSWORD, UP, USER, smtp, trusted
from ygg.model.notices import Mail, Target, TargetKind
from ygg.notify.letters import letter
from ygg.notify.sending import send
from ygg.notify.trying import NotSent


def mail(server: str, tls: str = "off", **more: object) -> Target:
    timeout_s = more.pop("timeout_s", 20.0)
    how = Mail(server, "ygg@example.org", ("ada@example.org", "bob@example.org"), tls=tls, **more)  # type: ignore[arg-type]
    return Target("post", TargetKind.EMAIL, mail=how, timeout_s=timeout_s)  # type: ignore[arg-type]


@pytest.fixture
def password(tmp_path: Path) -> str:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    return str(tmp_path / "password")


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted(tmp_path)))
    return tmp_path / "tls.pem"


async def refused(target: Target) -> NotSent:
    with pytest.raises(NotSent) as caught:
        await send(target, letter([DOWN]))
    return caught.value


async def test_a_mail_arrives_with_subject_text_and_both_people() -> None:
    what = letter([DOWN, replace(UP, text="grüße")])
    with smtp() as (box, server):
        await send(mail(server), what)
    (found,) = box.mails
    assert found["subject"] == f"ygg: {what.title}"
    assert found["to"] == "ada@example.org, bob@example.org"
    assert found["from"] == "ygg@example.org"
    assert found["auto-submitted"] == "auto-generated"
    assert str(found["message-id"]) == f"<{what.id}@example.org>"
    assert found.get_content().splitlines() == what.text.splitlines()


async def test_a_title_cannot_add_a_header() -> None:
    with smtp() as (box, server):
        await send(mail(server), letter([replace(DOWN, title=EVIL)]))
    (found,) = box.mails
    assert found["subject"] == "ygg: a X-Evil: 1[31m ölwärme"
    assert found["x-evil"] is None


async def test_starttls_and_login(certificate: Path, password: str) -> None:
    with smtp(certificate) as (box, server):
        await send(mail(server, "starttls", user=USER, password_file=password), letter([DOWN]))
    assert box.secure == [True]


async def test_tls_from_the_first_byte_on(certificate: Path) -> None:
    with smtp(certificate, whole=True) as (box, server):
        await send(mail(server, "tls"), letter([DOWN]))
    assert box.secure == [True]


async def test_a_password_is_never_sent_where_the_server_offers_no_tls(password: str) -> None:
    with smtp(careless=True) as (box, server):
        error = await refused(mail(server, "starttls", user=USER, password_file=password))
    assert str(error) == f"{server} offers no STARTTLS"
    assert box.mails == []


async def test_a_certificate_that_is_not_trusted_is_refused(tmp_path: Path, password: str) -> None:
    with smtp(trusted(tmp_path)) as (box, server):
        error = await refused(mail(server, "starttls", user=USER, password_file=password))
    assert f"the certificate of {server} is not trusted" in str(error)
    assert box.mails == []


async def test_a_wrong_password_is_told_without_it_and_not_tried_again(
    certificate: Path, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    Path(password).write_text("wrong horse")
    with smtp(certificate) as (box, server):
        error = await refused(mail(server, "starttls", user=USER, password_file=password))
    assert str(error) == "SMTP 535: user or password is refused"
    assert not error.again
    assert "wrong horse" not in caplog.text + str(error)
    assert box.mails == []


@pytest.mark.parametrize(("says", "again"), [("550 nobody here", False), ("451 later", True)])
async def test_a_refusal_for_good_is_not_tried_again(says: str, again: bool) -> None:
    with smtp() as (box, server):
        box.refuses = says
        error = await refused(mail(server))
    assert "does not take mail for ada@example.org, bob@example.org" in str(error)
    assert error.again is again


async def test_nobody_there_is_told() -> None:
    with smtp() as (_, server):
        pass
    error = await refused(mail(server))
    assert str(error) == f"{server}: Connection refused"
    assert error.again


async def test_a_server_that_drips_costs_its_time_out_and_no_thread_of_the_pool() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        begun, over = threading.Event(), threading.Event()

        def drip() -> None:
            line, _ = server.accept()
            with line:
                begun.set()
                line.sendall(b"220-")
                while not over.wait(0.1):  # a byte now and then, for as long as the test lasts
                    line.sendall(b"x")

        threading.Thread(target=drip, daemon=True).start()
        port = server.getsockname()[1]
        target = mail(f"127.0.0.1:{port}", timeout_s=0.4)
        error = await refused(target)
        assert begun.is_set()
        assert str(error) == "no answer within 0.4 s"
        assert str(await refused(target)) == "the server has not let go of an earlier try"
        assert await asyncio.wait_for(asyncio.to_thread(int), 5) == 0
        over.set()
