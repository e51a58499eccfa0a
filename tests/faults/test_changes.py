"""Experiments are created, paused, reweighted and finished under load: no device is enrolled wrongly."""

import asyncio
import random
from collections.abc import Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

from abtest import bootstrap
from abtest.domain.experiments import NewExperiment, Variant, parse_weight
from abtest.errors import Conflict, InvalidExperiment
from abtest.management import GroupService
from abtest.management.experiments import ExperimentService
from tests.faults.clients import Ledger, ask_all, loaded, named
from tests.faults.parts import Part
from tests.faults.servers import create, several_serve, verify
from tests.processes import url_of
from tests.scenes import ANNA


def changes(database: Path | str, number: int, defect: str = "", seed: int = 1) -> tuple[dict[str, int], str]:
    """Change experiments while devices come; returns the figures and the findings of verify."""
    ledger = Ledger()
    create(database)
    with several_serve(database, defect=defect) as port:
        done = asyncio.run(_under_load(database, port, ledger, number, seed))
        asyncio.run(ask_all(port, ledger, list(ledger.answers)))
    assert (ledger.lost, ledger.changed) == ([], [])
    return {"changes": done, "devices": len(ledger.answers)}, verify(database)


def sound(database: Path | str, number: int, seed: int = 1) -> dict[str, int]:
    """Every enrolment must be right for the experiments of that moment."""
    figures, broken = changes(database, number, seed=seed)
    assert broken == ""
    return figures


def control(database: Path | str, number: int) -> dict[str, int]:
    """With processes that don't notice changes, verify must find something broken."""
    figures, broken = changes(database, number, defect="knows-no-change")
    assert "broken" in broken
    return {f"control_{name}": figure for name, figure in figures.items()}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return sound(folder / "sound.db", part.of(200), part.seed) | control(folder / "control.db", 20)


def test_changes_under_load_enrol_no_device_wrongly(tmp_path: Path) -> None:
    sound(tmp_path / "abtest.db", 20)


def test_processes_that_notice_no_change_enrol_wrongly(tmp_path: Path) -> None:
    control(tmp_path / "abtest.db", 6)


async def _under_load(database: Path | str, port: int, ledger: Ledger, number: int, seed: int) -> int:
    async with loaded(port, ledger, named("a")), bootstrap.opened(url_of(database)) as store:
        return await _change(ExperimentService(store, by=ANNA), GroupService(store, by=ANNA), ledger, number, seed)


async def _change(service: ExperimentService, groups: GroupService, ledger: Ledger, number: int, seed: int) -> int:
    """Random changes of random experiments and of a group, each after some more devices have come."""
    chance = random.Random(seed)
    done = 0
    while done < number:
        before = len(ledger.answers)
        while len(ledger.answers) < before + 5:  # noqa: ASYNC110  # it waits for another process's work
            await asyncio.sleep(0.001)
        key = f"experiment-{chance.randrange(8)}"
        known = {experiment.key: experiment for experiment in await service.all()}
        if key not in known:
            variants = tuple(Variant(value, parse_weight(str(chance.randint(1, 9)))) for value in ("a", "b", "c"))
            await service.add([NewExperiment(key, variants, draft=chance.random() < 0.3)])
            done += 1
            continue
        weights = [Variant(value, parse_weight(str(chance.randint(1, 90)))) for value in known[key].values]
        rules: list[Coroutine[Any, Any, object]] = [
            *(service.start(key), service.pause(key), service.resume(key), service.reweight(key, weights)),
            *(groups.join("screen", key, Decimal("0.1")), groups.leave("screen", key)),
        ]
        if chance.random() < 0.1:
            rules.append(service.finish(key, chance.choice([None, "b"])))
        chosen = chance.choice(rules)
        for rule in rules:
            if rule is not chosen:
                rule.close()
        try:
            await chosen
        except (Conflict, InvalidExperiment):
            continue
        done += 1
    return done
