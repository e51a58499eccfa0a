"""The form for new weights: what stands in its fields, what the next devices would get, and what changes. Pure."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

from msgspec import Struct

from abtest import allocation
from abtest.domain import Experiment, Variant, parse_coverage, parse_weight
from abtest.errors import AbtestError, InvalidExperiment
from abtest.language import coverage_said, value_said
from abtest.results import PROSPECTIVE_DEVICES, parse_whole
from abtest.web.pages.rendering import cut

Read = TypeVar("Read")


class Wanted(Struct, frozen=True):
    """What was entered, where it differs from what there is; of what stays nothing, or None.

    `parts`: how many of the next devices would get each value, and `outside` how many none.
    """

    variants: tuple[Variant, ...]
    coverage: Decimal | None
    stop_at: int | None
    parts: tuple[Fraction, ...]
    outside: Fraction

    @property
    def nothing(self) -> bool:
        """Whether nothing would change."""
        return not self.variants and self.coverage is None and self.stop_at is None


def labels(experiment: Experiment) -> dict[str, str]:
    """What people call the fields."""
    weights = {
        f"weight-{place}": f"Weight of {value_said(cut(value))}" for place, value in enumerate(experiment.values)
    }
    return weights | {"coverage": "Coverage", "stop_at": "Stop at"}


def present(experiment: Experiment) -> dict[str, str]:
    """What the fields say at first: as it is."""
    phase = experiment.phase
    weights = {f"weight-{place}": f"{weight:f}" for place, weight in enumerate(phase.weights)}
    stop_at = "" if phase.stop_at is None else str(phase.stop_at)
    return weights | {"coverage": coverage_said(phase.coverage), "stop_at": stop_at}


def read(experiment: Experiment, fields: Mapping[str, str]) -> Wanted:
    """What the fields mean. Raises InvalidExperiment that names the field."""
    phase, values = experiment.phase, experiment.values
    weights = [_read(fields, f"weight-{place}", parse_weight) for place in range(len(values))]
    if not any(weights):
        raise InvalidExperiment("at least one weight must be above 0", field="weight-0")
    coverage = _read(fields, "coverage", parse_coverage)
    same_stop = fields["stop_at"].strip() == present(experiment)["stop_at"]
    integers = allocation.lowest_terms(weights)
    return Wanted(
        variants=() if integers == phase.integers else tuple(map(Variant, values, weights)),
        coverage=None if coverage == phase.coverage else coverage,
        stop_at=None if same_stop else _read(fields, "stop_at", parse_whole),
        parts=tuple(
            PROSPECTIVE_DEVICES * Fraction(coverage) * allocation.share(integers, i) for i in range(len(values))
        ),
        outside=PROSPECTIVE_DEVICES * (1 - Fraction(coverage)),
    )


def _read(fields: Mapping[str, str], name: str, parse: Callable[[str, str], Read]) -> Read:
    try:
        return parse(fields[name].strip(), name)
    except AbtestError as error:
        raise InvalidExperiment(error.reason, field=name) from None
