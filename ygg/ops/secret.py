"""A secret that nobody can guess, in a file of its own."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from ygg import private
from ygg.errors import Conflict, Unavailable

BYTES = 48  #: of chance


def make(path: Path) -> None:
    """Write one to a new file that nobody else may read. Raises Conflict where there is a file, and Unavailable."""
    try:
        handle = private.opened(path, os.O_WRONLY | os.O_EXCL)
    except FileExistsError:
        raise Conflict(f"{path} is there already", hint="name a file that is not") from None
    except (OSError, ValueError) as error:
        raise _cannot(path, error) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(BYTES)) + b"\n")
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _cannot(path, error) from None


def _cannot(path: Path, error: OSError | ValueError) -> Unavailable:
    why = error.strerror if isinstance(error, OSError) else error
    return Unavailable(
        f"{path} cannot be written: {why}", hint="name a file in a directory of yours"
    )
