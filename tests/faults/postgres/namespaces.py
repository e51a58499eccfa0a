"""Networks for processes that have PostgreSQL at the other end of a wire."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from msgspec import Struct

numbers = count()


class Namespace(Struct, frozen=True):
    """`within`: the beginning of the command line of a process in it. `host`: the address at our end of its wire."""

    within: tuple[str, ...]
    host: str
    wire: str

    def plug(self, way: str) -> None:
        """Unplug the wire (`down`), so that packets are lost and nobody is told; or plug it in again (`up`)."""
        _run("ip", "link", "set", self.wire, way)


@contextmanager
def namespace() -> Iterator[Namespace]:
    """A network namespace until the end of the block; skips the test if none can be made."""
    place = 4 * ((os.getpid() * 16 + next(numbers)) % 16_384)
    name, address = f"abtest-{place}", f"10.231.{place // 256}.{place % 256 + 1}"
    _run("ip", "netns", "add", name, needed=False)
    try:
        wire, inside = f"abt{place}", ("ip", "netns", "exec", name)
        _run("ip", "link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", name, needed=False)
        _run("ip", "address", "add", f"{address}/30", "dev", wire)
        _run("ip", "link", "set", wire, "up")
        _run(*inside, "ip", "address", "add", f"10.231.{place // 256}.{place % 256 + 2}/30", "dev", "eth0")
        _run(*inside, "ip", "link", "set", "eth0", "up")
        _run(*inside, "ip", "route", "add", "default", "via", address)
        yield Namespace(("nsenter", f"--net=/run/netns/{name}"), address, wire)
    finally:
        _run("ip", "netns", "delete", name)


def _run(*line: str, needed: bool = True) -> None:
    try:
        subprocess.run(line, check=True, capture_output=True, text=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        if needed:
            raise
        pytest.skip(f"no network namespace can be made: {getattr(error, 'stderr', error)}")
