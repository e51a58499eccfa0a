"""What would come of an experiment that somebody is about to make, or to change."""

from decimal import Decimal
from fractions import Fraction
from math import prod
from typing import Protocol

from msgspec import Struct

from abtest import allocation, clock
from abtest.domain import (
    DEFAULT_APP,
    HELD_PLACE,
    Audience,
    Experiment,
    Kind,
    NewExperiment,
    Status,
    failed,
    parse_audience,
)
from abtest.store import ExperimentStore, Newcomers, NewcomerStore

DEVICES = 600
"""The shares are shown as they are after so many devices."""


class Share(Struct, frozen=True):
    """A variant, the part of the devices that gets it, and how many of the first DEVICES that is."""

    value: str
    part: Fraction

    @property
    def devices(self) -> Fraction:
        """May be between two whole numbers."""
        return DEVICES * self.part


class Prospect(Struct, frozen=True):
    """`per_day`: new devices of the app. `inside`: how many of the `devices` that came last are in the audience.

    `part`: of all new devices, the part that would take part. `holdouts`: keys of the holdouts that would keep some
    devices out.
    """

    shares: tuple[Share, ...]
    audience: Audience
    per_day: int
    devices: int
    inside: int
    part: float
    holdouts: tuple[str, ...]

    def taking_part(self, per_day: int) -> int:
        """How many of so many new devices would take part."""
        return round(per_day * self.part)


class ProspectStore(ExperimentStore, NewcomerStore, Protocol):
    """What looking ahead needs."""


class ProspectService:
    """Looks ahead. Nothing is stored."""

    def __init__(self, store: ProspectStore, app: str = DEFAULT_APP) -> None:
        self._store = store
        self._app = app

    async def per_day(self) -> int:
        """About how many new devices the app has a day."""
        return (await self._newcomers()).per_day

    async def of(self, new: NewExperiment) -> Prospect:
        """What would come of an experiment that is `checked`."""
        came, audience = await self._newcomers(), parse_audience(new.audience)
        holdouts = [
            each for each in await self._store.experiments(self._app, Kind.HOLDOUT) if each.status is Status.RUNNING
        ]
        inside = sum(devices for said, devices in came.said if not failed(audience, said))
        in_audience = inside / came.devices if came.devices else 1.0
        drawn = prod([new.coverage, new.group_share or Decimal(1), *map(_free, holdouts)])
        weights = allocation.lowest_terms([variant.weight for variant in new.variants])
        return Prospect(
            shares=tuple(
                Share(variant.value, allocation.share(weights, place)) for place, variant in enumerate(new.variants)
            ),
            audience=audience,
            per_day=came.per_day,
            devices=came.devices,
            inside=inside,
            part=in_audience * float(drawn),
            holdouts=tuple(each.key for each in holdouts),
        )

    async def _newcomers(self) -> Newcomers:
        return await self._store.newcomers(clock.now(), self._app)


def _free(holdout: Experiment) -> Decimal:
    """The part of new devices that a holdout does not hold."""
    weights = holdout.phase.weights
    return 1 - weights[HELD_PLACE] / sum(weights)
