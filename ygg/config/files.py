"""The files that hosts.yaml names, as `ygg config check` looks at them."""

from __future__ import annotations

import os
from pathlib import Path


def fault(path: Path) -> tuple[str, str] | None:
    """What is wrong with a file that must be read, and what to do about it; None when it can be."""
    try:
        if path.is_dir():
            return f"the directory {path}", "name a file in it"
        with path.open("rb"):
            return None
    except FileNotFoundError:
        return f"{path}, which does not exist", "create it, or remove the key"
    except PermissionError:
        who = f"user id {os.geteuid()}"
        return (
            f"{path}, which {who} may not read",
            "check as the user that runs ygg, or change its mode",
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        return f"{path}: {error}", "name another file"
