"""Many simultaneous first requests of each device, to two processes: one row, one value, and exact shares."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from tests.faults.clients import Ledger, connected, named
from tests.faults.parts import Part
from tests.faults.servers import create, several_serve, verify

AT_ONCE = 8
GROUPS = 6
ATTEMPTS = 5


def ask_at_once(port: int, devices: int) -> Ledger:
    """Send each token 8 times at once."""
    ledger = Ledger()
    asyncio.run(_ask(port, ledger, devices))
    assert (ledger.acknowledged, len(ledger.answers)) == (AT_ONCE * devices, devices), ledger.refused
    return ledger


def first_requests(folder: Path, devices: int, defect: str = "") -> Ledger:
    """Send the first requests to two processes that share a port."""
    database = folder / f"{defect or 'sound'}.db"
    create(database)
    with several_serve(database, defect=defect) as port:
        return ask_at_once(port, devices)


def check_shares(database: Path | str, ledger: Ledger, devices: int) -> None:
    """Check that shares are exact. `devices`: a multiple of 200; a tenth of them is held."""
    assert (ledger.lost, ledger.changed) == ([], [])
    answers = [msgspec.json.decode(body, type=dict[str, str]) for body in ledger.answers.values() if body != b"{}"]
    assert len(answers) == devices * 9 // 10
    assert set(Counter(answer["color"] for answer in answers).values()) == {len(answers) // 3}
    prices = Counter(answer["price"] for answer in answers)
    assert [prices[price] * 20 // len(answers) for price in ("10", "20", "50", "5")] == [15, 2, 1, 2]
    assert sum("badge" in answer for answer in answers) == min(50, 3 * len(answers) // 20)
    assert not any(answer.keys() >= {"badge", "banner"} for answer in answers)
    assert verify(database) == ""


def sound(folder: Path, devices: int) -> dict[str, int]:
    """Every device has one value, and every value its share."""
    ledger = first_requests(folder, devices)
    check_shares(folder / "sound.db", ledger, devices)
    return {"devices": devices, "requests": ledger.acknowledged}


def control(folder: Path, devices: int) -> dict[str, int]:
    """With processes that draw separately, devices must get more than one value.

    On a busy machine one process may accept every connection. So there are several attempts.
    """
    ledger = Ledger()
    for attempt in range(ATTEMPTS):
        place = folder / str(attempt)
        place.mkdir()
        ledger = first_requests(place, devices, defect="draws-anew")
        if ledger.changed:
            break
    assert ledger.changed
    return {"control_changed": len(ledger.changed)}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return sound(folder, 200 * part.of(50)) | control(folder, 120)


def test_a_device_that_asks_8_times_at_once_gets_one_value(tmp_path: Path) -> None:
    sound(tmp_path, 600)


def test_processes_that_draw_separately_give_different_answers(tmp_path: Path) -> None:
    control(tmp_path, 60)


async def _ask(port: int, ledger: Ledger, devices: int) -> None:
    tokens = (token for token, _ in zip(named("a"), range(devices), strict=False))
    await asyncio.gather(*(_group(port, ledger, tokens) for _ in range(GROUPS)))


async def _group(port: int, ledger: Ledger, tokens: Iterator[str]) -> None:
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connected(port)) for _ in range(AT_ONCE)]
        for token in tokens:
            for reply in await asyncio.gather(*(connection.ask(token) for connection in connections)):
                ledger.note(token, reply)
