"""The files that hosts.yaml names, as `ygg config check` and whoever uses them read them."""

from __future__ import annotations

import os
from pathlib import Path

from ygg import files
from ygg.errors import ConfigError

KEY_MAX = 16 * 1024  #: bytes of a file that holds a key


def api_key(path: Path) -> str:
    """The key that the file holds, a byte order mark left out. ConfigError, with a hint, when it holds none."""
    try:
        text = files.read(path, KEY_MAX).decode("utf-8-sig").strip()
    except FileNotFoundError:
        raise _wrong(f"{path}, which does not exist", "create it, or remove the key") from None
    except IsADirectoryError:
        raise _wrong(f"the directory {path}", "name a file in it") from None
    except PermissionError:
        who = f"user id {os.geteuid()}"
        hint = "check as the user that runs ygg, or change its mode"
        raise _wrong(f"{path}, which {who} may not read", hint) from None
    except UnicodeDecodeError:
        raise _wrong(f"{path}, which is no text", ONE_LINE) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        why = error.strerror if isinstance(error, OSError) else error
        raise _wrong(f"{path}: {why}", "name another file") from None
    if not text:
        raise _wrong(f"{path}, which is empty", ONE_LINE)
    if not (text.isascii() and text.isprintable()):
        raise _wrong(f"{path}, which does not hold one API key", ONE_LINE)
    return text


ONE_LINE = "put the key into it, on one line"


def _wrong(got: str, hint: str) -> ConfigError:
    return ConfigError(got, hint=hint)
