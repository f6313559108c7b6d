"""hosts.yaml -> a validated, frozen `Config`.

Importing this package is cheap: YAML and pydantic are loaded when a file is read. Whatever is wrong
with a file ends as one ConfigError (exit code 78) that lists each problem as
`FILE:LINE: key.path: expected X, got Y`. `python -m ygg.config` prints docs/configuration.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ygg import files, paths
from ygg.config.records import GENERAL, Config
from ygg.config.show import describe, differences
from ygg.errors import ConfigError
from ygg.model import JsonDict

__all__ = [
    "GENERAL",
    "Config",
    "describe",
    "differences",
    "find_config",
    "from_dict",
    "load",
    "load_found",
    "schema",
]

MOST = 1 << 20  #: bytes of hosts.yaml that are read


def load(
    path: Path,
    env: Mapping[str, str] | None = None,
    *,
    strict: bool = False,
    copy_of: Path | None = None,
) -> Config:
    """Read and validate one file; `env` says what `environment.SETTINGS` names. `strict` refuses
    settings without effect, which are left out else, and looks at the files it names. Of a copy, their names
    are relative to the file that it is one of. Raises ConfigError."""
    from ygg.config.build import build
    from ygg.config.environment import applied
    from ygg.config.tree import parse

    tree = parse(_read(path), str(path))
    config = build(tree.data, tree.problems, path, strict=strict, copy_of=copy_of)
    return applied(config, tree.data, env or {})


def from_dict(data: Mapping[str, Any], source: str) -> Config:
    """A Config from plain data instead of a file. `source` names it in errors. Raises ConfigError."""
    from ygg.config.build import build
    from ygg.config.problems import Problems

    return build(dict(data), Problems(source), Path(source))


def find_config(
    explicit: str | None, env: Mapping[str, str], cwd: Path | None = None
) -> Path | None:
    """The file in force: `--config`, `$YGG_CONFIG`, `./hosts.yaml`, the user's, the system's.

    None when nothing is found. A named file is returned whether or not it is there, so that reading
    it says what is wrong with it.
    """
    places = paths.config_places(explicit, env, cwd or Path())
    if len(places) == 1:
        return places[0]
    return next((place for place in places if _there(place)), None)


def load_found(
    explicit: str | None, env: Mapping[str, str], cwd: Path | None = None, *, strict: bool = False
) -> Config:
    """Find and load, as `load`. Raises ConfigError, also when no file is found: it lists the places."""
    found = find_config(explicit, env, cwd)
    if found is None:
        places = paths.config_places(explicit, env, cwd or Path())
        looked = "\n".join(f"  {place}" for place in places)
        raise ConfigError(
            f"no hosts.yaml found, looked at\n{looked}",
            hint="ygg init writes one; or name it with --config FILE or $YGG_CONFIG",
        )
    return load(found, env, strict=strict)


def schema() -> JsonDict:
    """The JSON Schema of hosts.yaml, for editors: every key has a description."""
    from ygg.config.forms import FileForm

    body = FileForm.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body}


def _there(place: Path) -> bool:
    """Also true for a file that may not be read: it must be reported, not passed over."""
    try:
        return place.exists() or place.is_symlink()
    except OSError:
        return True


def _read(path: Path) -> bytes:
    """The file's bytes. One that is much too long is cut: `tree` says so. Devices and pipes are refused."""
    try:
        with files.opened(path) as file:
            return file.read(MOST)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{path}: cannot be read: {why}", hint=_NAME_IT) from error


_NAME_IT = "name a readable file with --config FILE or $YGG_CONFIG"
