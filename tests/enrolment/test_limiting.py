import asyncio
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from abtest import bootstrap
from abtest.enrolment.limiting import Limiter, Proxies, Rate
from abtest.settings import Settings

PROXIES = "127.0.0.0/8, 10.0.0.0/8, 2001:db8:ffff::/48"


@pytest.mark.parametrize(
    ("address", "forwarded_for", "source"),
    [
        ("127.0.0.1", "", None),
        ("::1", "", None),
        ("::ffff:127.0.0.1", "", None),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("127.0.0.1", "2001:db8::1:2:3:4", "2001:db8::/64"),
        ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::/64"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "6.6.6.6, _hidden", "127.0.0.1"),
        ("127.0.0.1", "garbage, 10.1.2.3", "10.1.2.3"),
    ],
)
def test_the_nearest_address_that_is_not_a_trusted_proxy_counts(
    address: str, forwarded_for: str, source: str | None
) -> None:
    assert Proxies(PROXIES).source(address, forwarded_for) == source


def test_forwarded_addresses_are_ignored_unless_proxies_are_named() -> None:
    assert Proxies("").source("192.0.2.1", "127.0.0.1") == "192.0.2.1"


def test_a_source_gets_its_burst_and_then_its_rate() -> None:
    limiter = Limiter(per_source=Rate(0.5, 2), in_all=Rate(0, 0))
    assert [limiter.take("a", now) for now in (0, 0, 0, 2, 2)] == [0, 0, 2, 0, 2]
    assert limiter.take("b", 0) == 0


def test_all_sources_together_have_a_limit() -> None:
    limiter = Limiter(per_source=Rate(0, 0), in_all=Rate(1, 2))
    assert [limiter.take(source, 0) for source in ("a", "b", "c")] == [0, 0, 1]
    limiter.give_back("b")
    assert limiter.take("c", 0) == 0


async def test_a_nearly_full_disk_is_reported_once_when_it_begins_and_once_when_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [900, 99, 80, 100, 900]
    stop, said = asyncio.Event(), list[str]()

    def usage(folder: Path) -> SimpleNamespace:
        free = left.pop(0)
        if not left:
            stop.set()
        return SimpleNamespace(free=free * 1_000_000)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(bootstrap, "DISK_SECONDS", 0.001)
    await bootstrap.watch_disk(Settings(database=f"sqlite:///{tmp_path}/abtest.db"), stop, said.append)
    assert said == [
        "new devices and events are refused: only 99 MB of disk space is free, "
        "less than the 100 MB of ABTEST_FREE_DISK",
        "the disk has room again: new devices and events are accepted",
    ]
