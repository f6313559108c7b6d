"""The form of an entry of `notify`: whom ygg tells what happens."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from ygg.config import values as v
from ygg.config.host_forms import Form
from ygg.model.notices import EVENTS, Event, Target, TargetKind

T = Target("", TargetKind.WEBHOOK)  #: the defaults come from this one
_DAY = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def _hours(value: object) -> object:
    found = _DAY.fullmatch(value) if isinstance(value, str) else None
    if found is None or found.groups()[:2] == found.groups()[2:]:
        raise PydanticCustomError(v.EXPECTED, 'hours such as "22:00-07:00", in quotes')
    return value


def minutes(hours: str) -> tuple[int, int]:
    """The minutes of the day at which `22:00-07:00` begins and ends."""
    found = _DAY.fullmatch(hours)
    assert found is not None
    begin_h, begin_m, end_h, end_m = map(int, found.groups())
    return 60 * begin_h + begin_m, 60 * end_h + end_m


def _events(value: object) -> object:
    """Their names, each once; one may stand alone."""
    named = v.one_or_more(value)
    if isinstance(named, list) and all(w in EVENTS for w in named):
        return [Event(w) for w in named]
    return named


Events = Annotated[
    list[Event],
    BeforeValidator(_events),
    WithJsonSchema({"type": "array", "items": {"enum": [str(e) for e in EVENTS]}}),
    v.expect(f"a list of {', '.join(EVENTS)}"),
]
Hours = Annotated[str, BeforeValidator(_hours)]
_MAILBOX = r"[^\s@<>,;:\"]{1,64}@[A-Za-z0-9.-]{1,253}"
Mailbox = Annotated[
    str, Field(pattern=rf"^{_MAILBOX}$"), v.expect("a mail address such as me@example.org")
]
Server = Annotated[
    str,
    Field(pattern=r"^([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:]+\]):[1-9][0-9]{0,4}$"),
    v.expect("HOST:PORT, such as smtp.example.org:587"),
]
Tls = Annotated[Literal["starttls", "tls", "off"], v.expect("`starttls`, `tls` or `off`")]
Limit = Annotated[int, Field(ge=1, le=3600), v.expect("a whole number from 1 to 3600")]


class TargetForm(Form):
    """Whom ygg tells what happens. Each entry has one of `ntfy`, `webhook`, `email` and `command`; [notifications](notifications.md) shows each."""

    name: v.Key | None = Field(
        default=None,
        description="What `ygg status` and `ygg notify test NAME` call it. Default: its kind, then `ntfy-2` and so on.",
    )
    ntfy: v.Url | None = Field(
        default=None, description="URL of an ntfy topic, such as https://ntfy.sh/TOPIC."
    )
    webhook: v.Url | None = Field(
        default=None,
        description="URL that gets a POST with one JSON object. Redirects are not followed.",
    )
    email: Annotated[list[Mailbox], Field(min_length=1), BeforeValidator(v.one_or_more)] | None = (
        Field(default=None, description="Who gets a mail: an address, or a list of them.")
    )
    command: Annotated[list[v.Text], Field(min_length=1)] | None = Field(
        default=None,
        description="A program with its arguments, as a list; no shell. It gets the JSON object of webhooks on stdin, and "
        "`YGG_EVENT`, `YGG_HOST`, `YGG_TITLE` and `YGG_TEXT` in its environment.",
    )
    events: Annotated[Events, Field(min_length=1)] = Field(
        default=list(EVENTS),
        description=f"What it is told of: some of {', '.join(f'`{e}`' for e in EVENTS)}. Default: all.",
    )
    quiet: Hours | None = Field(
        default=None,
        description='Hours of the local day in which it hears nothing but `urgent` events, such as `"22:00-07:00"`; what waits is told '
        "together at their end.",
    )
    urgent: Events = Field(
        default=list(T.urgent),
        description="Events that neither `quiet` nor `limit` holds. Default: `hot` alone.",
    )
    limit: Limit = Field(
        default=T.limit,
        description="Messages an hour; what is more waits and is told together as one.",
    )
    timeout: v.Duration = Field(
        default=T.timeout_s,
        description="Longest time of one try; a command is killed after it, with all that it started.",
    )
    token_file: v.Text | None = Field(
        default=None,
        description="Only for `ntfy` and `webhook`: file that holds what is sent as `Authorization: Bearer`. Relative to hosts.yaml; "
        "`~/` is your home. Files are read anew for each message.",
    )
    secret_file: v.Text | None = Field(
        default=None,
        description="Only for `webhook`: file that holds the secret of `X-Ygg-Signature: sha256=HEX`, the HMAC-SHA256 of the body.",
    )
    server: Server | None = Field(
        default=None, description="Only for `email`, must be given there: the SMTP server."
    )
    sender: Mailbox | None = Field(
        default=None, description="Only for `email`, must be given there: from whom the mails are."
    )
    user: v.Text | None = Field(
        default=None, description="Only for `email`: who logs in at the server."
    )
    password_file: v.Text | None = Field(
        default=None, description="Only for `email`: file that holds the password of `user`."
    )
    tls: Tls | None = Field(
        default=None,
        description="Only for `email`: `starttls` (the default), `tls` (from the first byte on, usually port 465) or `off`, which takes no password.",
    )
