"""Servers and workers of several machines on one PostgreSQL database, and moving it with PostgreSQL's own tools."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from abtest.domain import Event
from abtest.results import worker
from abtest.store.postgres import PostgresStore
from tests.postgres import new_database, programs
from tests.processes import Abtest, Device, run
from tests.scenes import answers, experiment, tokens


def with_password(url: str) -> str:
    """The same URL with a password; this server trusts whoever connects, whatever the password is."""
    user, at, host = urlsplit(url).netloc.rpartition("@")
    return urlsplit(url)._replace(netloc=f"{user.partition(':')[0] or 'postgres'}:xyzzy{at or '@'}{host}").geturl()


def processes(database: str, number: int) -> list[dict[str, Any]]:
    """What `abtest status` says of the processes, once there are so many."""
    while True:
        found = json.loads(run(database, "status", "--json").stdout)["processes"]
        if len(found) == number:
            return list(found)
        time.sleep(0.1)


def test_two_machines_give_the_same_answers_and_know_one_another(database: str) -> None:
    url = with_password(database)
    up = ("up", "--port", "0", "--processes", "1", "--interval", "0.1")
    with Abtest(url, *up) as one, Abtest(url, *up) as other:
        devices = [Device(each.port()) for each in (one, other)]
        asked = tokens("a", 20)
        first, second = ([device.ask(token) for token in asked] for device in devices)
        assert first == second
        found = processes(url, 4)
        assert sorted(each["kind"] for each in found) == ["server", "server", "worker", "worker"]
        assert {each["pid"] for each in found} == {*one.children(), *other.children()}
        for each in found:
            assert "xyzzy" not in Path(f"/proc/{each['pid']}/cmdline").read_text()
        for page in ("/", "/system", "/readyz", "/metrics"):
            with urlopen(f"http://127.0.0.1:{one.port_number}{page}") as answer:
                shown = answer.read()
            assert b"xyzzy" not in shown
            if page == "/system":
                assert shown.count(b"not known") == 2  # the free disk, and the last backup
        for device in devices:
            device.close()
    assert "xyzzy" not in "".join(one.said + other.said)
    assert processes(url, 0) == []
    assert run(url, "verify").returncode == 0


def move(database: str, elsewhere: str, dump: Path) -> None:
    """Move a database as docs/operations.md says."""
    for command in (
        ["pg_dump", "--format=custom", f"--file={dump}", database],
        ["pg_restore", "--no-owner", "--exit-on-error", f"--dbname={elsewhere}", str(dump)],
    ):
        subprocess.run([programs() / command[0], *command[1:]], check=True)


async def test_a_dump_that_is_restored_elsewhere_verifies(database: str, postgres: str, tmp_path: Path) -> None:
    store: Any = PostgresStore(database)
    await store.open()
    await store.add([experiment("color", "1", "1", metrics=("conversion:purchase",))], 1)
    before = await answers(store, tokens("a", 9))
    await store.track([(token, [Event("1", "purchase")]) for token in tokens("a", 9)], 2)
    await worker.tick(store)
    await store.close()
    with new_database(postgres) as elsewhere:
        move(database, elsewhere, tmp_path / "dump")
        assert run(elsewhere, "verify").returncode == 0
        restored: Any = PostgresStore(elsewhere)
        await restored.open()
        assert await answers(restored, tokens("a", 9)) == before
        await restored.close()
