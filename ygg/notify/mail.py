"""Mail: one message over SMTP, in a thread that nobody waits for longer than the target's time-out."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
import threading
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import format_datetime, localtime

from ygg.model.notices import Mail, Target
from ygg.notify.letters import Letter
from ygg.notify.trying import NotSent, secret


async def send(target: Target, letter: Letter) -> None:
    """Raises NotSent. A server that refuses for good (5xx) is not asked again."""
    mail = target.mail
    assert mail is not None
    password = await secret(mail.password_file)
    message = written(mail, letter)
    try:
        await _aside(target, lambda: _deliver(mail, password, message, target.timeout_s))
    except smtplib.SMTPResponseException as error:
        raise NotSent(_said(error), again=error.smtp_code < 500) from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        whom = ", ".join(error.recipients)
        again = any(code < 500 for code in codes)
        raise NotSent(f"{mail.server} does not take mail for {whom}", again=again) from None
    except smtplib.SMTPNotSupportedError:
        text = f"{mail.server} offers no {'STARTTLS' if mail.tls == 'starttls' else 'login'}"
        raise NotSent(text, again=False) from None
    except ssl.SSLCertVerificationError as error:
        text = f"the certificate of {mail.server} is not trusted: {error.verify_message}"
        raise NotSent(text) from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NotSent(f"{mail.server}: {why}") from None


def _said(error: smtplib.SMTPResponseException) -> str:
    told = error.smtp_error
    text = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        text = "user or password is refused"  # its words may say them back
    return f"SMTP {error.smtp_code}: {text}"


def written(mail: Mail, letter: Letter) -> EmailMessage:
    """The mail; its headers are on one line each whatever the title says."""
    message = EmailMessage()
    message["From"], message["To"] = mail.sender, ", ".join(mail.to)
    message["Subject"] = f"ygg: {letter.title}"
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = f"<{letter.id}@{mail.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text or letter.title)
    return message


def _deliver(mail: Mail, password: str, message: EmailMessage, timeout_s: float) -> None:
    host, _, port = mail.server.rpartition(":")
    host = host.strip("[]")
    if mail.tls == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, int(port), timeout=timeout_s, context=ssl.create_default_context())  # fmt: skip
    else:
        server = smtplib.SMTP(host, int(port), timeout=timeout_s)
    with server:
        if mail.tls == "starttls":
            server.starttls(context=ssl.create_default_context())
        if mail.user is not None:
            server.login(mail.user, password)
        server.send_message(message)


_UNDER_WAY: dict[Target, threading.Thread] = {}  #: the newest try of each target


async def _aside(target: Target, work: Callable[[], None]) -> None:
    """In a thread of its own, which may outlive whoever waits: a server that says a byte now and then keeps no thread of
    the pool, and not the end of the process either. One at a time: raises NotSent as long as an earlier one is there."""
    if target in _UNDER_WAY and _UNDER_WAY[target].is_alive():
        raise NotSent("the server has not let go of an earlier try")
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if not over.done():
            over.set_result(None) if error is None else over.set_exception(error)

    def job() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as found:  # noqa: BLE001 - it belongs to whoever waits
            error = found
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, error)

    thread = _UNDER_WAY[target] = threading.Thread(target=job, name="mail", daemon=True)
    thread.start()
    await over
