"""Setups that many tests share: experiments, devices, an opened store; and what tests read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from abtest.domain import By, Hand
from abtest.domain.experiments import NewExperiment, Variant
from abtest.enrolment import Answer
from abtest.store.enrolment import Enrolment
from abtest.store.sqlite import migrations
from abtest.store.sqlite.driver import open_raw
from abtest.store.sqlite.store import SQLiteStore

ANNA = By(Hand.PERSON, "anna", "192.0.2.7")
"""Who changes things in tests."""


def experiment(
    key: str,
    *weights: str,
    draft: bool = False,
    metrics: Sequence[str] = (),
    audience: Sequence[str] = (),
    coverage: str = "1",
    start_at: int | None = None,
    end_at: int | None = None,
    stop_at: int | None = None,
) -> NewExperiment:
    """An experiment whose values are key-0, key-1 and so on."""
    variants = tuple(Variant(f"{key}-{place}", Decimal(weight)) for place, weight in enumerate(weights))
    return NewExperiment(
        key,
        variants,
        draft=draft,
        metrics=tuple(metrics),
        audience=tuple(audience),
        coverage=Decimal(coverage),
        start_at=start_at,
        end_at=end_at,
        stop_at=stop_at,
    )


def tokens(prefix: str, number: int) -> list[str]:
    """This many tokens."""
    return [f"{prefix}-{n}" for n in range(number)]


async def answers(store: SQLiteStore, asked: Sequence[str]) -> list[dict[str, str]]:
    """The store's answers to these devices."""
    enrolment = await store.enrol(asked, now=1)
    return [values_of(enrolment, token) for token in asked]


def values_of(enrolment: Enrolment, token: str) -> dict[str, str]:
    """What a device got, by key."""
    delivered = [enrolment.values[variant] for variant in enrolment.variants[token]]
    return {each.key: each.value for each in delivered}


def values_by_key(answer: Answer) -> dict[str, str]:
    """What a device is answered."""
    return {each.key: each.value for each in answer.delivered}


@cache
def _empty(files: Callable[[], object]) -> bytes:
    """A database without anything in it, as these migrations make it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "abtest.db"
        connection = open_raw(path)
        migrations.prepare(connection, path, migrate=True)
        connection.close()
        return path.read_bytes()


def new(path: Path) -> Path:
    """The path, where there is a new database now: a copy, since the disk is waited for often while one is made."""
    path.write_bytes(_empty(migrations.files))
    return path


@asynccontextmanager
async def opened(path: Path, patience: float | None = None) -> AsyncIterator[SQLiteStore]:
    """The store of a file, which may be a new one, open within a block."""
    store = SQLiteStore(path if path.resolve().exists() else new(path), patience=patience)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, each with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, f"{path} {name}")


def figure(page: bytes, name: str) -> float:
    """The value of a line of /metrics."""
    return next(float(line.split()[-1]) for line in page.decode().splitlines() if line.startswith(f"{name} "))


async def until(condition: Callable[[], object]) -> None:
    """Return when the condition holds; a test that waits for ever is ended by its runner."""
    while not condition():  # noqa: ASYNC110  # what is waited for may be in another process
        await asyncio.sleep(0.01)
