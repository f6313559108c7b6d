"""`make tools`: tools that are no Python packages, and which tests are skipped without them."""

from __future__ import annotations

import shutil

TOOLS = {
    "systemd-analyze": "verification of the unit files and of the daemon inside their call filter",
    "systemctl": "installing the service into a system image",
    "systemd-sysusers": "creating user and group ygg in a system image",
    "tmux": "driving the live view in a terminal by hand; no test needs it",
}


def main() -> None:
    for tool, purpose in TOOLS.items():
        found = shutil.which(tool)
        print(f"{tool:<16} {found or 'missing: skipped'}  ({purpose})")


if __name__ == "__main__":
    main()
