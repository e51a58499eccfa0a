"""Experiments, their variants and their phases, with the rules for them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from msgspec import Struct

from abtest import allocation
from abtest.domain.apps import DEFAULT_APP
from abtest.domain.audience import Audience, parse_audience
from abtest.domain.metrics import Metric, parse_metrics
from abtest.domain.people import By
from abtest.domain.schedules import check_order
from abtest.domain.values import Type, check_values, text_fault
from abtest.errors import InvalidExperiment

KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
KEY_RULE = "must be 1 to 64 characters from a-z, 0-9, '_' and '-', and begin with a letter or a digit"
WEIGHT = re.compile(r"([0-9]{1,7}(?:\.[0-9]+)?|\.[0-9]+)%?")
COVERAGE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?|\.[0-9]{1,4})%|([01]?\.[0-9]{1,6}|1)")
FULL_COVERAGE = Decimal(1)
MOST_VARIANTS = 20
LONGEST_VALUE = 256
LONGEST_TEXT = 1000
"""The limit on the characters of a description or a reason."""
MOST_PLANNED = 10**12


class Kind(StrEnum):
    """What takes devices. All kinds are stored alike.

    A group chooses which of its experiments a device can be in; a holdout keeps devices out of all experiments.
    """

    EXPERIMENT = "experiment"
    GROUP = "group"
    HOLDOUT = "holdout"


class Status(StrEnum):
    """The stage of its life that an experiment is in."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    ARCHIVED = "archived"

    @property
    def said(self) -> str:
        """The word or words that follow "the experiment is"."""
        return "a draft" if self is Status.DRAFT else self.value

    @property
    def over(self) -> bool:
        """Whether an experiment never enrols a device again."""
        return self in {Status.FINISHED, Status.ARCHIVED}


def is_open(status: str, winner: str | None) -> bool:
    """Whether an experiment enrols devices, may do so later, or gives them its winner."""
    return status in {each for each in Status if not each.over} or (status == Status.FINISHED and winner is not None)


class Variant(Struct, frozen=True):
    """A value that the app may get, and its weight relative to the others."""

    value: str
    weight: Decimal


class NewExperiment(Struct, frozen=True):
    """An experiment to be created. `checked` checks it. `coverage`: the part of its audience that takes part.

    `group`, `group_share`: the group it joins, and the part of all devices that the group gives it. `start_at`,
    `end_at`: when it is started and finished, in milliseconds since 1970-01-01 UTC. `stop_at`: with this number of
    devices, it takes no more.
    """

    key: str
    variants: tuple[Variant, ...]
    description: str = ""
    metrics: tuple[str, ...] = ()
    draft: bool = False
    baseline: str | None = None
    planned: int | None = None
    type: Type = Type.STRING
    audience: tuple[str, ...] = ()
    coverage: Decimal = FULL_COVERAGE
    group: str | None = None
    group_share: Decimal | None = None
    start_at: int | None = None
    end_at: int | None = None
    stop_at: int | None = None

    def checked(self) -> "NewExperiment":
        """Returns itself. Raises InvalidExperiment, which says what can't be accepted and where."""
        check_key(self.key)
        check_variants(self.variants)
        check_values(self.type, [variant.value for variant in self.variants])
        check_description(self.description)
        if (self.group is None) is not (self.group_share is None):
            raise InvalidExperiment("a group and a group share must be given together", field="group")
        if self.group is not None:
            check_key(self.group, "group")
        parse_metrics(self.metrics)
        parse_audience(self.audience)
        check_baseline(self.baseline, [variant.value for variant in self.variants])
        check_planned(self.planned, len(self.variants))
        check_order(self.start_at, self.end_at)
        check_stop_at(self.stop_at)
        return self


class Phase(Struct, frozen=True):
    """A period with the same weights, coverage and `stop_at`. `weights`: in the order of the experiment's values.

    `enrolled`: how many devices inside the coverage have a position. `stop_at`: with this number of devices, in all
    phases up to this one, the experiment takes no more.
    """

    number: int
    weights: tuple[Decimal, ...]
    created_at: int
    enrolled: int
    coverage: Decimal = FULL_COVERAGE
    stop_at: int | None = None

    @property
    def integers(self) -> allocation.Weights:
        """The weights in lowest terms: how the devices inside the coverage are shared out."""
        return allocation.lowest_terms(self.weights)

    @property
    def drawn(self) -> allocation.Weights:
        """The weights that its positions are drawn with, including that of the devices outside the coverage."""
        return allocation.drawn_weights(self.weights, self.coverage)[0]

    @property
    def outside(self) -> int | None:
        """The place in `drawn` of devices outside the coverage; None at full coverage."""
        return allocation.drawn_weights(self.weights, self.coverage)[1]

    @property
    def bound(self) -> Fraction:
        """How far any count may be from n times its share."""
        return allocation.bound(self.drawn)

    def deviation(self, counts: Sequence[int], uncovered: int) -> Fraction:
        """How far the worst count is from n times its share. Devices outside the coverage have positions too."""
        outside = () if self.outside is None else (uncovered,)
        return allocation.deviation(self.drawn, (*counts, *outside))


class Experiment(Struct, frozen=True):
    """An experiment as it stands. Times are milliseconds since 1970-01-01 UTC.

    `metrics`: the primary one first. `baseline`: the value that the others are compared with; None for the first one.
    `primary_changed_at`, `baseline_changed_at`: when another metric became the primary one, or another value the
    baseline, after devices had been enrolled. `planned`: the number of devices in all variants, if one was planned.
    `group`: the key of the group it is in, and `group_share` the part of all devices that the group gives it.
    `start_at`, `end_at`: when it is to start and end, if that is planned; `started_at`, `ended_at`: when it did so
    for the first time. `because`: why it was finished with this winner, or with none; `decided_at`, `decided_by`:
    when this was decided, and by whom, None if that is not known.
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
    type: Type = Type.STRING
    audience: Audience = ()
    app: str = DEFAULT_APP
    kind: Kind = Kind.EXPERIMENT
    group: str | None = None
    group_share: Decimal | None = None
    start_at: int | None = None
    end_at: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    because: str = ""
    decided_at: int | None = None
    decided_by: By | None = None

    @property
    def baseline_place(self) -> int:
        """The place of the baseline among the values."""
        return 0 if self.baseline is None else self.values.index(self.baseline)

    @property
    def started_later(self) -> bool:
        """Whether it was a draft first."""
        return self.started_at is not None and self.started_at > self.created_at

    @property
    def enrolled(self) -> int:
        """Devices that were enrolled in all phases."""
        return sum(phase.enrolled for phase in self.phases)

    @property
    def holdout_status(self) -> str:
        """The word for the stage of a holdout's life."""
        return "running" if self.status is Status.RUNNING else "ended"

    @property
    def stage(self) -> str:
        """Its status; for a holdout, its `holdout_status`."""
        return self.holdout_status if self.kind is Kind.HOLDOUT else self.status.value

    @property
    def phase(self) -> Phase:
        """The phase that enrols."""
        return self.phases[-1]

    @property
    def coming(self) -> tuple[int | None, int | None]:
        """When it is still to start and to end; None for each that is past or not planned."""
        start = self.start_at if self.status is Status.DRAFT else None
        return start, None if self.status.over else self.end_at

    @property
    def full(self) -> bool:
        """Whether it has as many devices as it may have."""
        return self.phase.stop_at is not None and self.enrolled >= self.phase.stop_at


class Change(Struct, frozen=True):
    """What a lifecycle rule decided; None leaves a field as it is.

    `group`: the group it is in from now on, with the share that the group gives it; an empty key for no group.
    `schedule`: when it starts and when it ends, each None for never.
    """

    status: Status | None = None
    winner: str | None = None
    because: str | None = None
    weights: tuple[Decimal, ...] | None = None
    coverage: Decimal | None = None
    stop_at: int | None = None
    group: tuple[str, Decimal] | None = None
    metrics: tuple[Metric, ...] | None = None
    baseline: str | None = None
    planned: int | None = None
    description: str | None = None
    schedule: tuple[int | None, int | None] | None = None

    @property
    def leaves_group(self) -> bool:
        """Whether an experiment leaves the group that it is in, or gets another share there."""
        return self.group is not None or (self.status is not None and self.status.over)


def check_key(key: str, field: str = "key") -> str:
    """The key. Raises InvalidExperiment."""
    if not KEY.fullmatch(key):
        raise InvalidExperiment(KEY_RULE, field=field)
    return key


def check_description(text: str) -> str:
    """The description. Raises InvalidExperiment."""
    return _check_long_text(text, "description")


def check_because(text: str) -> str:
    """The reason of a decision. Raises InvalidExperiment."""
    return _check_long_text(text, "because")


def parse_weight(text: str, field: str = "weight", said: str | None = None) -> Decimal:
    """A weight from decimal text with at most 4 places; a trailing % is allowed. Raises InvalidExperiment."""
    match = WEIGHT.fullmatch(text)
    if not match:
        raise InvalidExperiment("must be a decimal number from 0 to 9999999, such as 33.3", field, said)
    weight = Decimal(match[1])
    if -int(weight.as_tuple().exponent) > 4:
        raise InvalidExperiment("must have at most 4 decimals", field, said)
    return weight


def parse_variant_weight(text: str, place: int) -> Decimal:
    """The weight of the variant at this place, counted from 1. Raises InvalidExperiment."""
    return parse_weight(text, f"variants[{place - 1}].weight", f"weight of variant {place}")


def parse_coverage(text: str, field: str = "coverage") -> Decimal:
    """The part of the devices that takes part, above 0 and at most 1: from 20% or 0.2. Raises InvalidExperiment."""
    part = _part(text)
    if part is None and _part(f"{text}%"):
        raise InvalidExperiment(f"the percent sign is missing: write {text}%", field)
    if part is None:
        raise InvalidExperiment("must be above 0% and at most 100%, with at most 4 decimals, such as 20%", field)
    return part


def _part(text: str) -> Decimal | None:
    """The part, from 20% or 0.2; None if the text is not a part."""
    match = COVERAGE.fullmatch(text)
    if match is None:
        return None
    part = Decimal(match[2]) if match[1] is None else Decimal(match[1]) / 100
    return part if 0 < part <= 1 else None


def check_baseline(baseline: str | None, values: Sequence[str]) -> None:
    """Raises InvalidExperiment when the baseline is not one of the values."""
    if baseline is not None and baseline not in values:
        raise InvalidExperiment(f"{baseline!r} is not a value of this experiment", field="baseline")


def check_planned(planned: int | None, variants: int) -> None:
    """Raises InvalidExperiment when so many devices in all can't be planned for so many variants."""
    if planned is not None and not variants <= planned <= MOST_PLANNED:
        raise InvalidExperiment(
            f"must be from {variants} devices, one for each variant, to 10^12",
            field="planned",
            hint="`abtest plan` tells how many a test needs",
        )


def check_stop_at(stop_at: int | None) -> None:
    """Raises InvalidExperiment when no experiment can stop at this number of devices."""
    if stop_at is not None and not 1 <= stop_at <= MOST_PLANNED:
        raise InvalidExperiment("must be from 1 device to 10^12", field="stop_at")


def check_variants(variants: Sequence[Variant]) -> None:
    """Raises InvalidExperiment when these can't be the variants of an experiment."""
    if not 2 <= len(variants) <= MOST_VARIANTS:
        raise InvalidExperiment(f"must be 2 to {MOST_VARIANTS}, not {len(variants)}", field="variants")
    for place, variant in enumerate(variants, start=1):
        fault = text_fault(variant.value)
        if not 1 <= len(variant.value) <= LONGEST_VALUE:
            fault = f"must have 1 to {LONGEST_VALUE} characters"
        if fault:
            raise InvalidExperiment(f"the value {fault}", f"variants[{place - 1}].value", f"variant {place}")
    repeated = [value for value, count in Counter(variant.value for variant in variants).items() if count > 1]
    if repeated:
        raise InvalidExperiment(f"the value {repeated[0]!r} is given twice", field="variants")
    if not any(variant.weight for variant in variants):
        raise InvalidExperiment("at least one must be above 0", field="weights")


def _check_long_text(text: str, field: str) -> str:
    """The text. Raises InvalidExperiment."""
    if len(text) > LONGEST_TEXT:
        raise InvalidExperiment(f"must have at most {LONGEST_TEXT} characters", field)
    if fault := text_fault(text):
        raise InvalidExperiment(fault, field)
    return text


def in_order(values: Sequence[str], weights: Mapping[str, Decimal]) -> tuple[Decimal, ...]:
    """The weights in the order of the values. Raises InvalidExperiment unless each value has exactly one."""
    unknown = [value for value in weights if value not in values]
    if unknown:
        raise InvalidExperiment(f"{unknown[0]!r} is not a value of this experiment", field="variants")
    missing = [value for value in values if value not in weights]
    if missing:
        raise InvalidExperiment(
            f"the value {missing[0]!r} needs a weight (with 0 it gets no more devices)", field="variants"
        )
    if not any(weights.values()):
        raise InvalidExperiment("at least one must be above 0", field="weights")
    return tuple(weights[value] for value in values)
