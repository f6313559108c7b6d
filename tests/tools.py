"""`make tools`: tools that are no Python packages, and which tests are skipped without them."""

from __future__ import annotations

import shutil

TOOLS = {
    "systemd-analyze": "verification of the unit files and of the daemon inside their call filter",
    "systemctl": "installing the service into a system image",
    "systemd-sysusers": "creating user and group ygg in a system image",
    "sshd": "readings over SSH from a real OpenSSH server (apt install openssh-server)",
    "ssh-agent": "a login with the key of an agent",
    "ssh-keygen": "a login with a key that has a passphrase",
    "cc": "readings of a stand-in driver, which is compiled",
    "nvidia-smi": "readings of a real GPU: make gpu-check",
    "tmux": "driving the live view in a terminal by hand; no test needs it",
}


def main() -> None:
    for tool, purpose in TOOLS.items():
        found = shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")
        print(f"{tool:<16} {found or 'missing: skipped'}  ({purpose})")


if __name__ == "__main__":
    main()
