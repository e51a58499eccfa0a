"""What an experiment contributes to a plan: its weights, its devices, and what devices with its baseline do so
far."""

from math import sqrt

from msgspec.structs import replace

from abtest.domain import DEFAULT_APP, Experiment, Kind
from abtest.errors import InvalidSetting, UnknownExperiment
from abtest.inference import AMOUNT_UNITS, Moments
from abtest.results.planning import PlanRequest
from abtest.store import Measured, MeasureStore


async def measured(store: MeasureStore, key: str, app: str = DEFAULT_APP) -> Measured:
    """What the worker counted for an experiment. Raises UnknownExperiment."""
    for found in await store.measured():
        experiment = found.experiment
        if (experiment.app, experiment.kind, experiment.key) == (app, Kind.EXPERIMENT, key):
            return found
    raise UnknownExperiment(key)


def completed(request: PlanRequest, found: Measured) -> PlanRequest:
    """The request; what it leaves open is taken from the experiment.

    The weights are those of the experiment's present phase, without variants that get no more devices. Its devices
    count if neither an effect nor a number of devices is given, and the figures of its primary metric if neither a
    rate nor a mean is. Raises InvalidSetting when it has no such figures yet.
    """
    experiment = found.experiment
    weights, place = experiment.phase.weights, experiment.baseline_place
    asked = request.effect is not None or request.devices is not None
    request = replace(
        request,
        weights=(weights[place], *(weight for other, weight in enumerate(weights) if other != place and weight)),
        devices=request.devices if asked else experiment.enrolled,
        less=request.less or any(metric.less for metric in experiment.metrics[:1]),
        open_ended=experiment.planned is None and experiment.enrolled > 0,
    )
    given = request.base, request.mean, request.deviation
    return request if given != (None, None, None) else _with_figures(request, experiment, _baseline(found))


def _with_figures(request: PlanRequest, experiment: Experiment, moments: Moments) -> PlanRequest:
    if any(metric.kind == "amount" for metric in experiment.metrics[:1]):
        if moments.total <= 0:
            raise InvalidSetting(f"give it and --deviation; {experiment.key} has no amounts yet", field="mean")
        mean, deviation = float(moments.mean) / AMOUNT_UNITS, sqrt(moments.variance) / AMOUNT_UNITS
        return replace(request, mean=mean, deviation=deviation)
    if not moments.converters:
        raise InvalidSetting(f"give the rate; {experiment.key} has no conversions yet", field="base")
    return replace(request, base=float(moments.mean))


def _baseline(found: Measured) -> Moments:
    """Its figures of the primary metric, of all phases together, since no variants are compared; amounts count in
    full."""
    place = found.experiment.baseline_place
    sums = [each.sums for metric in found.metrics[:1] for each in metric if each.place == place]
    return Moments(
        n=sum(day.devices for day in found.days if day.place == place),
        converters=sum(each.converters for each in sums),
        total=sum(each.total for each in sums),
        squares=sum(each.squares for each in sums),
    )
