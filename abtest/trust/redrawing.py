"""Draws a phase again, position by position."""

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from abtest import allocation
from abtest.domain import Kind
from abtest.store import ExperimentRecord, PhaseRecord


class Step(Struct, frozen=True):
    """The variants of the next devices and, if they are drawn, their first position and the counts afterwards."""

    variants: list[int]
    first: int | None = None
    before_block: allocation.Counts = ()


def fits(experiment: ExperimentRecord, phase: PhaseRecord) -> bool:
    """Whether there is an outcome for each weight of a phase: the variants and, perhaps, the devices outside.

    A phase of a group may have fewer weights than the group has variants, since experiments join later.
    """
    shares, variants = len(phase.weights[: phase.outside]), len(experiment.variants)
    if phase.outside is not None and experiment.outside is None:
        return False
    return shares == variants or (experiment.kind == Kind.GROUP and 0 <= shares < variants)


class PhaseAudit:
    """Draws a phase again, position by position."""

    def __init__(self, experiment: ExperimentRecord, record: PhaseRecord, most: int) -> None:
        self.experiment = experiment
        self.record = record
        self._most = most
        self._readable = fits(experiment, record)
        shares = len(record.weights[: record.outside])
        self._outside = () if record.outside is None or experiment.outside is None else (experiment.outside,)
        self._outcomes = (*experiment.variants[:shares], *self._outside)
        self._names = dict(zip(experiment.variants, map(repr, experiment.values), strict=False))
        self._names |= dict.fromkeys(self._outside, "no value")
        self._next = 0
        self._counts: Counter[int] = Counter()
        self._before_block = allocation.no_counts(record.weights)

    @property
    def covered(self) -> int:
        """How many of the devices with a position are not outside the coverage."""
        return self._next - sum(self._counts[each] for each in self._outside)

    def ahead(self, number: int, room: int | None = None) -> Step | None:
        """The next enrolments, as they must be; None if the weights can't be read.

        `room`: how many devices are still taken; None without a limit.
        """
        if not self._readable:
            return None
        places, before_block = self._draw(number)
        if room is not None:
            places, before_block = self._draw(allocation.positions_until(places, room, self.record.outside))
        return Step([self._outcomes[place] for place in places], self._next, before_block)

    def go(self, step: Step) -> None:
        """Move on past these enrolments, which were found."""
        self._next += len(step.variants)
        self._before_block = step.before_block
        self._counts.update(step.variants)

    def enrolled(self, position: int, variant: int) -> Iterator[str]:
        """What is wrong with this enrolment. Enrolments come in the order of positions."""
        number = self.record.number
        if not self._readable:
            return
        if variant not in self._outcomes:
            yield "its variant belongs to another experiment"
        elif position < 0:
            yield f"position {position} of phase {number}: positions begin at 0"
        elif position < self._next:
            yield f"position {position} of phase {number} is given twice"
        elif position - self._next > self._most:
            yield f"position {position} of phase {number} is beyond the number of devices"
        else:
            if position > self._next:
                yield f"position {self._next} of phase {number} is missing before {position}"
            yield from self._drawn(position, variant)

    def end(self) -> Iterator[str]:
        """What is wrong with the counters after the last enrolment."""
        where = f"phase {self.record.number} of {self.experiment.name}"
        if self.record.next_position != self._next:
            yield f"{where}: the next position is {self.record.next_position}, but {self._next} were given"
        if self.record.counts != self._before_block:
            yield f"{where}: the counts before the block are {self.record.counts}, but must be {self._before_block}"

    def _drawn(self, position: int, variant: int) -> Iterator[str]:
        places, self._before_block = self._draw(position - self._next + 1)
        self._next = position + 1
        self._counts[variant] += 1
        drawn, number = self._outcomes[places[-1]], self.record.number
        if drawn != variant:
            gives, stored = self._names[drawn], self._names[variant]
            yield f"position {position} of phase {number} gives {gives}, but {stored} is stored"
        total = self._counts.total()
        bound = allocation.bound(self.record.weights)
        for place, each in enumerate(self._outcomes):
            if abs(self._counts[each] - total * allocation.share(self.record.weights, place)) > bound:
                yield (
                    f"after {total} devices of phase {number}, {self._names[each]} has {self._counts[each]}: "
                    f"farther from its share than {float(bound):.2f}"
                )

    def _draw(self, number: int) -> tuple[list[int], allocation.Counts]:
        return allocation.draw(
            self.experiment.seed, self.record.number, self.record.weights, self._next, number, self._before_block
        )
