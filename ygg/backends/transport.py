"""What a transport's exception means: no connection, one that is not trusted, or one that broke."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl

import aiohttp
import httpx

from ygg.model import OutcomeKind
from ygg.ports import CallFailed

#: Everything httpx over aiohttp raises when a connection or a message is bad.
FOREIGN = (
    httpx.HTTPError,
    httpx.InvalidURL,
    aiohttp.ClientError,
    aiohttp.http_exceptions.HttpProcessingError,
    OSError,
    RuntimeError,  # aiohttp: the session is closed
    ValueError,
)
UNTRUSTED = (
    "put its authority among the trusted certificates of this machine (or into the file that "
    "SSL_CERT_FILE names), or use an http:// address"
)


def from_transport(exc: Exception) -> CallFailed:
    """What a transport's exception means."""
    cause = _cause(exc)
    if no_descriptor(exc):
        text = "ygg has no file descriptor left: raise its limit (ulimit -n, LimitNOFILE)"
        return CallFailed(OutcomeKind.WITHDRAWN, text)
    if isinstance(cause, aiohttp.ClientSSLError):
        return CallFailed(OutcomeKind.UNREACHABLE, _insecure(cause))
    if isinstance(cause, aiohttp.ClientConnectorError):
        why = _strerror(cause) or str(cause.os_error)
        where = f"{cause.host}:{cause.port}"
        return CallFailed(OutcomeKind.UNREACHABLE, f"cannot connect to {where}: {why}")
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        return CallFailed(OutcomeKind.UNREACHABLE, _text(cause))
    if isinstance(cause, aiohttp.InvalidURL | httpx.InvalidURL | httpx.UnsupportedProtocol):
        return CallFailed(OutcomeKind.UNREACHABLE, f"bad address: {_text(cause)}")
    return CallFailed(OutcomeKind.ERROR, _broken(cause), broken=True)


def no_descriptor(exc: Exception) -> bool:
    """Whether it is our own trouble: no connection could be made for want of a file descriptor."""
    return getattr(_cause(exc), "errno", None) in (errno.EMFILE, errno.ENFILE)


def hung_up(exc: Exception) -> bool:
    """Whether the server closed a connection without having answered on it."""
    cause = _cause(exc)
    reset = isinstance(cause, aiohttp.ClientOSError | ConnectionError)
    return isinstance(cause, aiohttp.ServerDisconnectedError) or (
        reset and not isinstance(cause, aiohttp.ClientConnectorError)
    )


def _broken(cause: BaseException) -> str:
    """How a connection ended that should not have."""
    if isinstance(cause, aiohttp.ClientPayloadError):
        return "the connection broke: the server hung up in the middle of its answer"
    if isinstance(cause, aiohttp.ServerDisconnectedError):
        return "the connection broke: the server hung up without an answer"
    http = aiohttp.http_exceptions.HttpProcessingError
    if isinstance(cause, aiohttp.ClientResponseError | http):
        return f"the answer is no HTTP that can be read: {cause.message}"
    return f"the connection broke: {_strerror(cause) or _text(cause)}"


def _insecure(cause: aiohttp.ClientSSLError) -> str:
    """What is wrong with the certificate, or with the encryption as such."""
    where, why = f"{cause.host}:{cause.port}", cause.os_error
    if isinstance(why, ssl.SSLCertVerificationError):
        told = why.verify_message.rstrip(".")
        return f"the certificate of {where} is not trusted: {told}; {UNTRUSTED}"
    reason = getattr(why, "reason", None) or ""
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        return f"{where} speaks no TLS: use an http:// address"
    told = reason.replace("_", " ").lower() or _text(why)
    return f"no encrypted connection to {where}: {told}"


def _strerror(cause: BaseException) -> str:
    """The system's words, where it was the system that failed."""
    number = getattr(cause, "errno", None) or 0
    return os.strerror(number) if number > 0 else ""


def _text(cause: BaseException) -> str:
    return str(cause) or type(cause).__name__


def _cause(exc: BaseException) -> BaseException:
    """aiohttp's exception behind httpx's, which is the more exact of the two."""
    cause = exc.__cause__
    return cause if isinstance(cause, aiohttp.ClientError | asyncio.TimeoutError) else exc
