"""Counts events again, and compares the result with what the worker counted."""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, TypeVar

from abtest import clock
from abtest.domain import Sums, Tally
from abtest.errors import Unavailable
from abtest.store import AuditStore, EventChunk, EventLedger

K = TypeVar("K", bound=Hashable)

CHUNK = 2_000
ATTEMPTS = 5
COUNTS = ("converters", "total", "squares", "events", "without_amount", "lag")


async def recount(store: AuditStore) -> list[str]:
    """What is wrong with the figures of events; empty when they agree with the raw rows.

    Starts over when events are erased meanwhile. Raises Unavailable if that happens too often.
    """
    for _ in range(ATTEMPTS):
        ledger = await store.event_ledger()
        count = Recount(ledger)
        for after in range(0, ledger.last_device if ledger.last_event else 0, CHUNK):
            chunk = await store.event_chunk(after, min(after + CHUNK, ledger.last_device))
            if chunk.erasures != ledger.erasures:
                break
            count.chunk(chunk)
        else:
            return count.findings()
    raise Unavailable("devices are being forgotten all the time; verify again when that is over", code="busy")


class Recount:
    """Compares chunks of devices with the ledger of events.

    The worker may go on meanwhile: its sums are compared as they were when the ledger was read, and what it keeps of
    each device as it was when the chunk was read.
    """

    def __init__(self, ledger: EventLedger) -> None:
        self._ledger = ledger
        self._tally = Tally({id: record.metric for id, record in ledger.metrics.items()})
        self._exposed: Counter[tuple[int, int, int, bool]] = Counter()
        self._findings: list[str] = list(_structure(ledger))

    def chunk(self, chunk: EventChunk) -> None:
        """Check the next devices."""
        present = Tally(chunk.metrics)
        for metric, id, event in chunk.events:
            present.add(metric, event)
            record = self._ledger.metrics.get(metric)
            if record is not None and id <= record.watermark:
                self._tally.add(metric, event)
        self._tally.totals.clear()
        for metric, device in sorted(present.totals.keys() | chunk.totals.keys()):
            counted, stored = present.totals.get((metric, device)), chunk.totals.get((metric, device))
            if counted != stored:
                where = f"summary: device {device}, {self._metric(metric)}"
                self._findings.append(f"{where}: its total is {_named(stored)}, but its events say {_named(counted)}")
        exposed = {(each.experiment, each.device, each.own) for each in chunk.exposures}
        for experiment, device, own in sorted(exposed ^ chunk.exposed):
            which = f"its exposure to {'its own' if own else 'another'} value of experiment {experiment}"
            told = "is not kept" if (experiment, device, own) in exposed else "is kept, but there is no such event"
            self._findings.append(f"summary: device {device}: {which} {told}")
        for each in chunk.exposures:
            counts = each.event <= self._ledger.exposure_watermark
            self._exposed[each.phase, each.variant, each.day, each.own] += counts

    def findings(self) -> list[str]:
        """After the last device: everything that is wrong."""
        return [*self._findings, *self._compared()]

    def _compared(self) -> Iterator[str]:
        for cell in sorted(self._tally.cells.keys() | self._ledger.cells.keys()):
            counted = self._tally.cells.get(cell, Sums())
            stored = self._ledger.cells.get(cell, Sums())
            where = f"summary: {self._metric(cell[0])}, phase {cell[1]}, variant {cell[2]}, {named_day(cell[3])}"
            for name in COUNTS:
                if getattr(counted, name) != getattr(stored, name):
                    yield f"{where}: {name} is {getattr(stored, name)}, but the events say {getattr(counted, name)}"
            for name in ("buckets", "delays"):
                if _held(getattr(counted, name)) != _held(getattr(stored, name)):
                    yield f"{where}: {name} do not agree with the events"
            if counted.events and not stored.first_at <= counted.first_at <= counted.last_at <= stored.last_at:
                yield f"{where}: some events are outside its first and last time"
        for (metric, day), devices, kept in differences(self._tally.happened, self._ledger.happened):
            where = f"summary: {self._metric(metric)}, {named_day(day)}"
            yield f"{where}: {kept} devices had their first event, but the events say {devices}"
        for (phase, variant, day, own), devices, kept in differences(self._exposed, self._ledger.exposed):
            where = f"summary: phase {phase}, variant {variant}, {named_day(day)}"
            yield f"{where}: {kept} {'exposed' if own else 'showed another value'}, but the events say {devices}"

    def _metric(self, id: int) -> str:
        record = self._ledger.metrics.get(id)
        return f"{record.metric} of {record.name}" if record else f"metric {id}"


def _structure(ledger: EventLedger) -> Iterator[str]:
    marks = {f"{record.metric} of {record.name}": record.watermark for record in ledger.metrics.values()}
    for name, watermark in (marks | {"exposure": ledger.exposure_watermark}).items():
        if watermark > ledger.last_event:
            yield f"summary: {name}: counts events up to {watermark}, but there were {ledger.last_event}"


def _held(histogram: Mapping[int, object]) -> dict[int, object]:
    """The histogram without its empty places."""
    return {place: held for place, held in histogram.items() if held not in (0, (0, 0, 0))}


def _named(total: int | None) -> str:
    return "missing or not a number" if total is None else str(total)


def named_day(day: int) -> str:
    """A day since 1970-01-01 UTC."""
    try:
        return f"day {clock.moment(day * clock.DAY):%Y-%m-%d}"
    except OverflowError:
        return f"day {day} since 1970"


def differences(counted: Mapping[K, int], stored: Mapping[K, int]) -> Iterator[tuple[K, Any, Any]]:
    """What differs between the two, as (where, counted, stored)."""
    for where in sorted(counted.keys() | stored.keys()):  # type: ignore[type-var]  # all keys are tuples of numbers
        if counted.get(where, 0) != stored.get(where, 0):
            yield where, counted.get(where, 0), stored.get(where, 0)
