"""The last configuration that was good: a copy of hosts.yaml in the state directory.

A service that crashes or boots after a broken edit starts on it, rather than staying down for an edit that the
running daemon had refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from ygg import files, paths, private
from ygg.config import MOST, find_config, load, load_found
from ygg.config.records import Config
from ygg.errors import ConfigError

NAME = "hosts.yaml.good"


def keep(config: Config, state: Path, env: Mapping[str, str]) -> None:
    """Copy the file that this configuration came from. Raises OSError, and ConfigError where the file says something
    else by now: that is not known to be good."""
    copy = state / NAME
    if config.source == copy:
        return

    def same(part: Path) -> None:
        if load(part, env, copy_of=config.source).fingerprint != config.fingerprint:
            raise ConfigError(f"{config.source} has changed since it was read")

    private.put(copy, files.read(config.source, MOST), check=same)


def to_start_on(
    explicit: str | None, state: Path, env: Mapping[str, str], *, service: bool
) -> tuple[Config, ConfigError | None]:
    """The configuration in force; for a service the last good one where that is broken, with what is wrong. Raises
    ConfigError: where there never was a good one, and for a person, who is there to mend it."""
    try:
        return load_found(explicit, env), None
    except ConfigError as error:
        if service:
            with contextlib.suppress(ConfigError):  # none was kept, or an older ygg wrote it
                places = paths.config_places(explicit, env, Path())
                meant = find_config(explicit, env) or places[-1]
                return load(state / NAME, env, copy_of=meant), error
        raise
