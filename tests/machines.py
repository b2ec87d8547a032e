"""A second machine: a network namespace with an address of its own, that does not see the first one's folders."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_FIRST, _SECOND = "10.213.77.1", "10.213.77.2"


@dataclass(frozen=True)
class SecondMachine:
    """How the second machine is entered, and at which address it finds the first one's servers."""

    namespace: str
    servers: str = _FIRST
    address: str = _SECOND

    def command(self, hidden: Path) -> list[str]:
        """What a command is started under, to run there without this folder of the first machine."""
        inside = f'mount -t tmpfs none {hidden} && exec "$@"'
        return ["ip", "netns", "exec", self.namespace, "sh", "-c", inside, "second-machine"]


@contextmanager
def second_machine() -> Iterator[SecondMachine]:
    """A network of two: this process's own machine, and a namespace whose only way out is to it."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    namespace, here, there = (f"{name}{os.getpid()}" for name in ("distil-", "dh", "dt"))
    if subprocess.run(["ip", "netns", "add", namespace], capture_output=True).returncode != 0:
        pytest.skip("this machine allows no network namespaces")
    inside = ("ip", "-n", namespace)
    try:
        _run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", namespace)
        _run("ip", "addr", "add", f"{_FIRST}/30", "dev", here)
        _run("ip", "link", "set", here, "up")
        _run(*inside, "addr", "add", f"{_SECOND}/30", "dev", there)
        _run(*inside, "link", "set", there, "up")
        _run(*inside, "link", "set", "lo", "up")
        yield SecondMachine(namespace)
    finally:
        subprocess.run(["ip", "link", "del", here], capture_output=True)
        subprocess.run(["ip", "netns", "del", namespace], capture_output=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
