"""`python -m ygg.config > docs/configuration.md`: the page is written from the forms."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ygg.config.environment import SETTINGS
from ygg.config.forms import ANY, FORMS
from ygg.config.host_forms import Form
from ygg.config.inert import INERT
from ygg.config.values import spelled
from ygg.model import Policy

_IDLE = """## Settings without effect

These are known and can do nothing yet. `ygg config check` and a reload refuse them; a daemon that starts with one
leaves it out and warns in its log and on stderr.

| key | why |
|---|---|
"""

_HEAD = """# hosts.yaml, key by key

This page is written by `python -m ygg.config > docs/configuration.md`; a test compares the two.

**Where it is looked for.** `--config FILE`, else `$YGG_CONFIG`; without them the first of `./hosts.yaml`,
`$XDG_CONFIG_HOME/ygg/hosts.yaml` (`~/.config/ygg/hosts.yaml`) and `/etc/ygg/hosts.yaml`. `ygg config path` says which one it is.

**Is it right?** `ygg config check` lists every problem as `FILE:LINE: key.path: expected X, got Y` and exits with
78 when there is one. `ygg config show` prints every setting in force. `ygg config schema` prints a JSON Schema: save it
and let your editor complete the keys, with yaml-language-server by a first line
`# yaml-language-server: $schema=hosts.schema.json`.

**When it is read.** At the start and on SIGHUP. A broken edit changes nothing: the old settings stay and the log says
what is wrong. The check and a reload also look at the files that hosts.yaml names: each must be there and readable.

**The environment** says what hosts.yaml does not: {environment}.
`PRIORITY_WEIGHTS` may say the order of priorities that there is, as JSON, and no other. `ygg config show` tells under `environment` what was
found there, and whether the file said something else; `ygg config check` what of it does nothing.

**How values are written.** Durations: `60s`, `10m`, `2h`, `7d`, `1h30m`, or a number of seconds. A key without a value
counts as not set. Anchors, aliases and `<<` may be used.
"""


def page() -> str:
    """docs/configuration.md."""
    known = (
        line for path, form in FORMS.items() if form.model_fields for line in _section(path, form)
    )
    idle = (f"| `{'.'.join(path)}` | {why[0].upper()}{why[1:]}. |\n" for path, why in INERT.items())
    named = (f"`{name}` is `{s.section}.{s.key}`" for name, s in SETTINGS.items())
    head = _HEAD.replace("{environment}", ", ".join(named))
    return "\n".join([head, *known, _IDLE]) + "".join(idle)


def _section(path: tuple[str, ...], form: type[Form]) -> Iterator[str]:
    yield f"## {_title(path)}\n"
    yield f"{' '.join(inspect.cleandoc(form.__doc__ or '').split())}\n"
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    for key, field in form.model_fields.items():
        yield f"| `{key}` | {_default(form, key, field)} | {field.description} |"
    yield ""


def _title(path: tuple[str, ...]) -> str:
    if not path:
        return "Top level"
    return f"`{'.'.join('NAME' if step == ANY else step for step in path)}`".replace(
        "route.NAME", "route[]"
    ).replace("notify.NAME", "notify[]")


def _default(form: type[Form], key: str, field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "must be given"
    if f"{key}_s" in Policy.__dataclass_fields__ and form.__name__ == "PolicyForm":
        value = _spelled(value)
    elif f"{key}_mb" in Policy.__dataclass_fields__ and form.__name__ == "PolicyForm":
        value = f"{value:g}MB"
    return f"`{value}`" if isinstance(value, str | int | float) else "-"


def _spelled(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_spelled, value))
    return spelled(value) if isinstance(value, float) else "off"


if __name__ == "__main__":
    sys.stdout.write(page())
