"""The words of the product as frozen values. They cross every floor; rows and dicts do not."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from unicodedata import category

from msgspec import Struct

from abtest import allocation
from abtest.domain.metrics import Metric, parse_metrics
from abtest.errors import InvalidExperiment

KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
WEIGHT = re.compile(r"([0-9]{1,7}(?:\.[0-9]+)?|\.[0-9]+)%?")
MOST_VARIANTS = 20
LONGEST_VALUE = 256
LONGEST_DESCRIPTION = 1000
MOST_PLANNED = 10**12


class Status(StrEnum):
    """Where an experiment is in its life."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    ARCHIVED = "archived"

    @property
    def said(self) -> str:
        """What the experiment is, after `is`."""
        return "a draft" if self is Status.DRAFT else self.value


class Variant(Struct, frozen=True):
    """A value that the app may get, and its weight against the others."""

    value: str
    weight: Decimal


class NewExperiment(Struct, frozen=True):
    """An experiment as it was asked for, checked by `checked`."""

    key: str
    variants: tuple[Variant, ...]
    description: str = ""
    metrics: tuple[str, ...] = ()
    draft: bool = False
    baseline: str | None = None
    planned: int | None = None

    def checked(self) -> "NewExperiment":
        """Itself. Raises InvalidExperiment that says what can't be accepted, and where."""
        if not KEY.fullmatch(self.key):
            raise InvalidExperiment(
                "key: must be 1 to 64 of a-z, 0-9, '_' and '-', and begin with a letter or a digit"
            )
        check_variants(self.variants)
        if len(self.description) > LONGEST_DESCRIPTION:
            raise InvalidExperiment(f"description: at most {LONGEST_DESCRIPTION} characters")
        _check_text(self.description, "description: a text")
        parse_metrics(self.metrics)
        check_baseline(self.baseline, [variant.value for variant in self.variants])
        check_planned(self.planned)
        return self


class Phase(Struct, frozen=True):
    """A time with the same weights. `weights` stand in the order of the experiment's values."""

    number: int
    weights: tuple[Decimal, ...]
    created_at: int
    enrolled: int

    @property
    def integers(self) -> allocation.Weights:
        """The weights in lowest terms."""
        return allocation.lowest_terms(self.weights)


class Experiment(Struct, frozen=True):
    """An experiment as it stands. Times are milliseconds since 1970-01-01 UTC.

    `metrics`: the primary one first; `primary_changed_at`: when another became that after devices had been enrolled.
    `baseline_changed_at`: the same of the baseline.
    `baseline`: the value that the others are compared with, None for the first. `planned`: devices in all, if so many
    were planned.
    """

    id: int
    key: str
    description: str
    status: Status
    created_at: int
    created_after_device: int
    values: tuple[str, ...]
    phases: tuple[Phase, ...]
    metrics: tuple[Metric, ...]
    winner: str | None = None
    baseline: str | None = None
    planned: int | None = None
    primary_changed_at: int | None = None
    baseline_changed_at: int | None = None

    @property
    def baseline_place(self) -> int:
        """Where the baseline stands among the values."""
        return 0 if self.baseline is None else self.values.index(self.baseline)

    @property
    def enrolled(self) -> int:
        """Devices that were enrolled in all phases."""
        return sum(phase.enrolled for phase in self.phases)

    @property
    def phase(self) -> Phase:
        """The phase that enrols."""
        return self.phases[-1]


class Change(Struct, frozen=True):
    """What a lifecycle rule decided; None leaves a part as it is."""

    status: Status | None = None
    winner: str | None = None
    weights: tuple[Decimal, ...] | None = None
    metrics: tuple[Metric, ...] | None = None
    baseline: str | None = None
    planned: int | None = None


def parse_weight(text: str, where: str = "weight") -> Decimal:
    """A weight from decimal text with at most 4 places; a trailing % is allowed. Raises InvalidExperiment."""
    match = WEIGHT.fullmatch(text)
    if not match:
        raise InvalidExperiment(f"{where}: must be a decimal number from 0 to 9999999, such as 33.3")
    weight = Decimal(match[1])
    if -int(weight.as_tuple().exponent) > 4:
        raise InvalidExperiment(f"{where}: at most 4 decimals")
    return weight


def check_baseline(baseline: str | None, values: Sequence[str]) -> None:
    """Raises InvalidExperiment when the baseline is not one of the values."""
    if baseline is not None and baseline not in values:
        raise InvalidExperiment(f"baseline: {baseline!r} is not a value of this experiment")


def check_planned(planned: int | None) -> None:
    """Raises InvalidExperiment when this can't be a number of devices."""
    if planned is not None and not 1 <= planned <= MOST_PLANNED:
        raise InvalidExperiment(f"planned: a number of devices from 1 to {MOST_PLANNED:,}")


def check_variants(variants: Sequence[Variant]) -> None:
    """Raises InvalidExperiment when these can't be the variants of an experiment."""
    if not 2 <= len(variants) <= MOST_VARIANTS:
        raise InvalidExperiment(f"variants: an experiment has 2 to {MOST_VARIANTS}, not {len(variants)}")
    for place, variant in enumerate(variants, start=1):
        if not 1 <= len(variant.value) <= LONGEST_VALUE:
            raise InvalidExperiment(f"variant {place}: a value has 1 to {LONGEST_VALUE} characters")
        _check_text(variant.value, f"variant {place}: a value")
    repeated = [value for value, count in Counter(variant.value for variant in variants).items() if count > 1]
    if repeated:
        raise InvalidExperiment(f"variants: the value {repeated[0]!r} is given twice")
    if not any(variant.weight for variant in variants):
        raise InvalidExperiment("weights: at least one must be above 0")


def _check_text(text: str, what: str) -> None:
    """Control characters forge lines in a terminal, and surrogates, of bytes that are no UTF-8, can't be stored."""
    if any(category(character) in {"Cc", "Cs"} for character in text):
        raise InvalidExperiment(f"{what} has no control characters, and is UTF-8")


def in_order(values: Sequence[str], weights: Mapping[str, Decimal]) -> tuple[Decimal, ...]:
    """The weights in the order of the values. Raises InvalidExperiment unless each value has exactly one."""
    unknown = [value for value in weights if value not in values]
    if unknown:
        raise InvalidExperiment(f"variants: {unknown[0]!r} is not a value of this experiment")
    missing = [value for value in values if value not in weights]
    if missing:
        raise InvalidExperiment(f"variants: the value {missing[0]!r} needs a weight (0 enrols no more devices in it)")
    if not any(weights.values()):
        raise InvalidExperiment("weights: at least one must be above 0")
    return tuple(weights[value] for value in values)
