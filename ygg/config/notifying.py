"""Whom ygg tells what happens: from the forms of `notify` to records, and back for those who look at the settings."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ygg.config import keys
from ygg.config.problems import KeyPath, Problems, ticked
from ygg.model import JsonDict
from ygg.model.notices import Mail, Target, TargetKind

if TYPE_CHECKING:
    from ygg.config.notify_forms import TargetForm

#: The keys that only some kinds have.
OWN: dict[str, tuple[TargetKind, ...]] = {
    "token_file": (TargetKind.NTFY, TargetKind.WEBHOOK),
    "secret_file": (TargetKind.WEBHOOK,),
    **dict.fromkeys(("server", "sender", "user", "password_file", "tls"), (TargetKind.EMAIL,)),
}
FILES = ("token_file", "secret_file", "password_file")


@dataclass(frozen=True, slots=True)
class Notifying:
    """Over one file: `source`. `strict`: the files that it names are looked at too."""

    problems: Problems
    source: Path
    strict: bool

    def targets(self, forms: Sequence[TargetForm]) -> tuple[Target, ...]:
        found: dict[str, Target] = {}
        for n, form in enumerate(forms):
            target = self._target(("notify", n), form, found)
            if target is not None and target.name in found:
                got = f"{ticked(target.name)} a second time"
                self.problems.add(("notify", n, "name"), "each name once", got)
            elif target is not None:
                found[target.name] = target
        return tuple(found.values())

    def _target(self, path: KeyPath, form: TargetForm, taken: dict[str, Target]) -> Target | None:
        from ygg.config.notify_forms import minutes

        kinds = [kind for kind in TargetKind if getattr(form, kind) is not None]
        if len(kinds) != 1:
            one = "one of `ntfy`, `webhook`, `email` and `command`"
            self.problems.add(path, one, " and ".join(map(ticked, kinds)) or "none")
            return None
        (kind,) = kinds
        self._fits(path, form, kind)
        place = {key: self._file((*path, key), getattr(form, key)) for key in FILES}
        return Target(
            name=form.name or _unlike(taken, kind),
            kind=kind,
            url=form.ntfy or form.webhook or "",
            token_file=place["token_file"],
            secret_file=place["secret_file"],
            mail=_mail(form, place["password_file"]) if kind is TargetKind.EMAIL else None,
            command=tuple(form.command or ()),
            events=tuple(form.events),
            quiet=None if form.quiet is None else minutes(form.quiet),
            urgent=tuple(form.urgent),
            limit=form.limit,
            timeout_s=form.timeout,
        )

    def _fits(self, path: KeyPath, form: TargetForm, kind: TargetKind) -> None:
        """Whether its keys are those of its kind, and all that this needs are there."""
        for key, kinds in OWN.items():
            if getattr(form, key) is not None and kind not in kinds:
                only = " and ".join(map(ticked, kinds))
                self.problems.add((*path, key), f"`{key}` only with {only}", ticked(kind))
        if kind is TargetKind.EMAIL:
            for key in ("server", "sender"):
                if getattr(form, key) is None:
                    self.problems.add(path, f"the key `{key}`", "none")
            if (form.user is None) is not (form.password_file is None):
                self.problems.add(path, "both `user` and `password_file`, or neither", "one")
            if form.tls == "off" and form.password_file is not None:
                hint = "the password could be read on its way"
                self.problems.add((*path, "tls"), "`starttls` or `tls`", "`off`", hint)

    def _file(self, path: KeyPath, name: str | None) -> str | None:
        if name is None:
            return None
        place = keys.place(self.source, name)
        if self.strict:
            with self.problems.told(path, "a file that holds a secret"):
                keys.api_key(place)
        return str(place)


def _mail(form: TargetForm, password_file: str | None) -> Mail:
    to, tls = tuple(form.email or ()), form.tls or "starttls"
    return Mail(form.server or "", form.sender or "", to, form.user, password_file, tls)


def _unlike(taken: dict[str, Target], kind: str) -> str:
    numbered = (kind if n == 1 else f"{kind}-{n}" for n in itertools.count(1))
    return next(name for name in numbered if name not in taken)


# --- and back -----------------------------------------------------------------------------------------


def body(target: Target) -> JsonDict:
    """The keys of hosts.yaml: reads back as the same target."""
    return {
        "name": target.name,
        **_HOW[target.kind](target),
        "events": [str(e) for e in target.events],
        "quiet": None if target.quiet is None else "-".join(map(_time, target.quiet)),
        "urgent": [str(e) for e in target.urgent],
        "limit": target.limit,
        "timeout": target.timeout_s,
    }


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _email(target: Target) -> JsonDict:
    mail = target.mail
    assert mail is not None
    sent = {"email": list(mail.to), "server": mail.server, "sender": mail.sender, "tls": mail.tls}
    return {**sent, "user": mail.user, "password_file": mail.password_file}


_HOW: dict[TargetKind, Callable[[Target], JsonDict]] = {
    TargetKind.NTFY: lambda t: {"ntfy": t.url, "token_file": t.token_file},
    TargetKind.WEBHOOK: lambda t: {
        "webhook": t.url, "token_file": t.token_file, "secret_file": t.secret_file,
    },
    TargetKind.EMAIL: _email,
    TargetKind.COMMAND: lambda t: {"command": list(t.command)},
}  # fmt: skip
