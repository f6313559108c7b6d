"""ntfy and webhooks: one POST, to the address in hosts.yaml and nowhere else."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode

import httpx

from ygg import __version__
from ygg.backends.http import once
from ygg.backends.secret import Secret
from ygg.backends.transport import FOREIGN, from_transport
from ygg.model.notices import Event, Target, TargetKind
from ygg.notify.letters import Letter
from ygg.notify.trying import NotSent, secret

ERROR_MAX = 2048  #: bytes of an error that are read
LATER = (408, 425, 429)  #: of the 4xx, those after which another try may help
#: How loud ntfy is, from 1 to 5, and the picture beside it.
NTFY: dict[Event, tuple[int, str]] = {
    Event.HOST_DOWN: (4, "red_circle"),
    Event.HOST_UP: (3, "green_circle"),
    Event.HOT: (5, "fire"),
    Event.DEAD_LETTER: (4, "skull"),
    Event.BLOCKED: (3, "raised_hand"),
    Event.QUEUE_DRAINED: (2, "white_check_mark"),
    Event.NOTHING_MOVES: (4, "hourglass"),
    Event.TELEMETRY_LOST: (3, "see_no_evil"),
    Event.TEST: (3, "wave"),
}


async def send(target: Target, letter: Letter) -> None:
    """Raises NotSent unless the answer is a 2xx."""
    token = await secret(target.token_file)
    key = await secret(target.secret_file)
    body, headers = _ntfy(letter) if target.kind is TargetKind.NTFY else _webhook(letter, key)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    hidden = Secret(token)
    try:
        status, said = await _post(target.url, body, headers)
    except FOREIGN as error:
        raise NotSent(hidden.hide(from_transport(error).message)) from None
    if not 200 <= status < 300:
        again = status >= 500 or status in LATER
        raise NotSent(_refused(status, hidden.hide(said)), again=again)


async def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    """Status and the beginning of what is said; no redirect is followed."""
    request = httpx.Request("POST", url, content=body, headers=headers)
    async with once(url) as transport:
        response = await transport.handle_async_request(request)
        said = b""
        try:
            async for part in response.aiter_raw():
                said += part
                if len(said) >= ERROR_MAX:
                    break
        finally:
            await response.aclose()
    return response.status_code, said[:ERROR_MAX].decode(errors="replace")


def _refused(status: int, said: str) -> str:
    if 300 <= status < 400:
        return f"HTTP {status}: it leads elsewhere, which is not followed: put the right URL into hosts.yaml"
    return f"HTTP {status}: {' '.join(said.split())[:200]}".rstrip(": ")


def _webhook(letter: Letter, key: str) -> tuple[bytes, dict[str, str]]:
    body = letter.json
    headers = {"Content-Type": "application/json", "User-Agent": f"ygg/{__version__}"}
    if key:
        digest = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        headers["X-Ygg-Signature"] = f"sha256={digest}"
    return body, headers


def _ntfy(letter: Letter) -> tuple[bytes, dict[str, str]]:
    loud = max(letter.notices, key=lambda n: NTFY[n.event][0])
    priority = NTFY[loud.event][0]
    tags = dict.fromkeys(NTFY[n.event][1] for n in letter.notices)
    headers = {
        "Title": _header(letter.title),
        "Priority": str(priority),
        "Tags": ",".join(tags),
        "User-Agent": f"ygg/{__version__}",
    }
    return (letter.text or letter.title).encode(), headers


def _header(text: str) -> str:
    """As RFC 2047 says, which ntfy reads, where it is not plain ASCII."""
    if text.isascii() and text.isprintable() and not text.startswith("=?"):
        return text
    return f"=?UTF-8?B?{b64encode(text.encode()).decode()}?="
