"""Which devices are outside an audience is decided once for each combination of attributes."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from abtest import domain
from abtest.domain import Attributes, Audience, read_attributes
from abtest.results import worker
from abtest.store.relational.summarising import audiences
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust import VerificationService
from tests.scenes import experiment, opened


async def come(store: SQLiteStore, prefix: str, said: Sequence[Attributes]) -> None:
    """Devices with these attributes, folded into the figures."""
    attributes = {f"{prefix}-{place}": each for place, each in enumerate(said)}
    await store.enrol(list(attributes), 1, attributes)
    await worker.tick(store)


async def test_equal_attributes_are_decided_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decided: list[Attributes] = []

    def failed(audience: Audience, attributes: Attributes) -> tuple[int, ...]:
        decided.append(attributes)
        return domain.failed(audience, attributes)

    monkeypatch.setattr(audiences, "failed", failed)
    said = [read_attributes([("platform", name)]) for name in ("ios", "android")]
    async with opened(tmp_path / "abtest.db") as store:
        await store.add([experiment("banner", "1", "1", audience=("platform=ios",))], 1)
        for prefix in ("a", "b"):
            await come(store, prefix, said)
        assert sorted(each.pairs for each in decided if each) == sorted(each.pairs for each in said)
        await store.add([experiment("badge", "1", "1", audience=("country=DE",))], 1)
        await come(store, "c", said)
        assert not (await VerificationService(store).verify()).findings


async def test_a_worker_remembers_no_more_than_some_decisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audiences, "MOST_DECIDED", 5)
    async with opened(tmp_path / "abtest.db") as store:
        await store.add([experiment("banner", "1", "1", audience=("os_version<10",))], 1)
        for batch in range(6):
            await come(
                store, f"of-{batch}", [read_attributes([("os_version", str(4 * batch + n))]) for n in range(4)]
            )
            assert len(store._decided._numbers) <= 5 + 5
        assert not (await VerificationService(store).verify()).findings
