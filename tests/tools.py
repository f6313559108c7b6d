"""`make tools`: what is no Python package, which tests are left out without it, and how to get it."""

from __future__ import annotations

import os
import shutil

TOOLS = {
    "systemd-analyze": (
        "systemd",
        "verification of the unit files and of the daemon inside their call filter",
    ),
    "systemctl": ("systemd", "installing the service into a system image"),
    "systemd-sysusers": ("systemd", "creating user and group ygg in a system image"),
    "systemd-nspawn": ("systemd-container", "the service under a living systemd, as root"),
    "sshd": ("openssh-server", "readings over SSH from a real OpenSSH server"),
    "ssh-agent": ("openssh-client", "a login with the key of an agent"),
    "ssh-keygen": ("openssh-client", "a login with a key that has a passphrase"),
    "cc": ("gcc libc6-dev", "readings of a stand-in driver, which is compiled"),
    "nvidia-smi": ("", "readings of a real GPU: make gpu-check"),
    "promtool": (
        "prometheus",
        "what Prometheus' own checker says of GET /metrics, and the alerts of contrib/",
    ),
    "prometheus": (
        "prometheus",
        "a real Prometheus that scrapes a daemon and asks what the dashboard asks",
    ),
    "tmux": ("tmux", "driving the live view in a terminal by hand; no test needs it"),
}
#: Programs that no package brings: the variable that names one, and where it comes from.
PROGRAMS = {
    "YGG_TEST_OLLAMA": "the whole house on a real Ollama (ollama.com; its llama-server in lib/ollama beside it)",
    "YGG_TEST_LLAMA_SERVER": "the same on a real llama-server, and its router (llama-server of its releases)",
}


def main() -> None:
    for tool, (package, purpose) in TOOLS.items():
        found = shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")
        get = f"missing: apt install {package}" if package else "missing"
        print(f"{tool:<21} {found or get}  ({purpose})")
    for name, purpose in PROGRAMS.items():
        print(f"{name:<21} {os.environ.get(name) or 'not set'}  ({purpose})")
    if os.geteuid() != 0:
        print(f"{'root':<21} not here  (a living systemd, and what another user may do)")


if __name__ == "__main__":
    main()
