"""What the worker concluded about experiments, as pages and programs read it."""

from collections.abc import Mapping
from typing import Generic, Literal, TypeVar

import msgspec
from msgspec import Struct, structs

from abtest import clock
from abtest.domain import DEFAULT_APP, Kind
from abtest.errors import UnknownExperiment
from abtest.inference import Comparison, Due, Exposure, Lift, NotEnough, Question, VariantResult, Verdict
from abtest.language import Said, said
from abtest.store import ResultStore, Summary

V = TypeVar("V", Verdict, Said)


class Look(Struct, frozen=True):
    """The safe interval of each comparison at the end of a day, in the comparisons' order; None without enough
    data."""

    day: str
    safe: tuple[Lift | None, ...]


class MetricResultsWith(Struct, Generic[V], frozen=True):
    """What one metric says. `over_time`: the safe intervals as they were at the end of each day, of at most 60 days.

    `detectable`: the smallest lift, as a part of the baseline's mean, that the rule finds in four of five experiments
    with `detectable_devices`: the planned number or, if no test of a plan will be made, the present number; None if
    that can't be said. `less`: whether less is better. `due`: when the test at the planned number is made. `cap`: the
    most that a device's total counts where the variants are compared, None if all totals count in full;
    `capped_devices` have more. `events`: how many were received, and `without_amount` how many of them have no
    amount, if the metric needs one; `lag_seconds`: the average time from an event to its receipt; `first_at`,
    `last_at`: when the first and the last were received.
    """

    metric: str
    role: Literal["primary", "guardrail"]
    kind: Literal["conversion", "amount"]
    event: str
    window_days: int | None
    less: bool
    verdict: V
    variants: tuple[VariantResult, ...]
    comparisons: tuple[Comparison, ...]
    omnibus_p: float | None
    detectable: float | None
    detectable_devices: int
    due: Due
    cap: float | None
    capped_devices: int
    over_time: tuple[Look, ...]
    events: int
    without_amount: int
    lag_seconds: float | None
    first_at: str | None
    last_at: str | None

    def comparison(self, value: str) -> Comparison | None:
        """The comparison of a variant with the baseline; None for the baseline itself."""
        return next((each for each in self.comparisons if each.value == value), None)

    @property
    def has_test(self) -> bool:
        """Whether some variant was tested at the planned number."""
        return any(each.at_plan for each in self.comparisons)

    @property
    def has_loss(self) -> bool:
        """Whether the exact test shows a loss of some variant."""
        return any(each.loss is not None for each in self.comparisons)


class Health(Struct, frozen=True):
    """Whether the figures can be trusted. `exact`: whether every count of devices is where it must be.

    `showed_other`: by value, how many of its devices reported at least once that they showed another value; only the
    values with such devices.

    For all experiments of the app together: `duplicate_events` were received again, `unknown_device_events` came from
    unknown devices, `unknown_experiment_events` are exposures that name an experiment that did not exist, and
    `shortened_devices` are devices that are stored with fewer attributes than they had.
    """

    exact: bool
    exposure: Exposure
    showed_other: Mapping[str, int]
    duplicate_events: int
    unknown_device_events: int
    unknown_experiment_events: int
    shortened_devices: int


class ResultsWith(Struct, Generic[V], frozen=True):
    """`GET /api/v1/experiments/{key}/results`. `verdict` is that of the primary metric, None without a metric.

    `days`: on how many days devices had their first event of the primary metric, without the first and the last
    twentieth of the devices. `as_of`, `age_seconds`: when the worker last counted; None before it did.
    """

    key: str
    status: str
    baseline: str
    planned: int | None
    devices: int
    days: int
    primary_changed_at: str | None
    baseline_changed_at: str | None
    verdict: V | None
    metrics: tuple[MetricResultsWith[V], ...]
    health: Health
    as_of: str | None = None
    age_seconds: float | None = None

    @property
    def primary(self) -> MetricResultsWith[V] | None:
        """The metric that decides."""
        return self.metrics[0] if self.metrics else None


MetricConclusions = MetricResultsWith[Verdict]
Conclusions = ResultsWith[Verdict]
"""As the worker keeps them: a verdict is a code and its figures."""

MetricResults = MetricResultsWith[Said]
ExperimentResults = ResultsWith[Said]
"""As they are read: a verdict is a sentence."""


class ResultService:
    """Reads what the worker concluded about an app; computes nothing."""

    def __init__(self, store: ResultStore, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> None:
        self._store = store
        self._app = app
        self._kind = kind

    async def one(self, key: str) -> ExperimentResults:
        """The results of an experiment; one that the worker has not seen yet is empty.

        Raises UnknownApp or UnknownExperiment.
        """
        summary = await self._store.summary(self._app, self._kind)
        document = await self._store.result(key, self._app, self._kind)
        if document is None:
            return _nothing(summary, key)
        return structs.replace(worded(decoded(document)), as_of=_as_of(summary), age_seconds=clock.age(summary.as_of))

    async def verdicts(self) -> Mapping[int, Said | None]:
        """The verdict of every experiment of every app, by the experiment's id; None without a metric."""
        return {id: _Concluded.verdict_of(document) for id, document in (await self._store.results()).items()}


class _Concluded(Struct):
    """The part of a document that the dashboard shows; the rest is not decoded."""

    verdict: Verdict | None

    @staticmethod
    def verdict_of(document: str) -> Said | None:
        verdict = msgspec.json.decode(document, type=_Concluded).verdict
        return None if verdict is None else said(verdict)


def decoded(document: str) -> Conclusions:
    """The results of a stored document."""
    return msgspec.json.decode(document, type=Conclusions)


def encoded(results: Conclusions) -> str:
    """The document of results."""
    return msgspec.json.encode(results).decode()


def worded(results: Conclusions) -> ExperimentResults:
    """The same results with their verdicts as sentences."""
    metrics = tuple(
        MetricResults(**(structs.asdict(metric) | {"verdict": said(metric.verdict)})) for metric in results.metrics
    )
    verdict = metrics[0].verdict if metrics else None
    return ExperimentResults(**(structs.asdict(results) | {"verdict": verdict, "metrics": metrics}))


def _as_of(summary: Summary) -> str | None:
    return clock.iso_or_none(summary.as_of)


def _nothing(summary: Summary, key: str) -> ExperimentResults:
    """The results of an experiment about which the worker has not concluded anything yet."""
    experiment = next((each for each in summary.experiments if each.key == key), None)
    if experiment is None:
        raise UnknownExperiment(key)
    waiting = NotEnough(Question("conversion", experiment.values), "uncounted")
    return ExperimentResults(
        key=key,
        status=experiment.stage,
        baseline=experiment.values[experiment.baseline_place],
        planned=experiment.planned,
        devices=0,
        days=0,
        primary_changed_at=None,
        baseline_changed_at=None,
        verdict=said(waiting) if experiment.metrics else None,
        metrics=(),
        health=Health(True, Exposure((0,) * len(experiment.values), None), {}, 0, 0, 0, 0),
        as_of=_as_of(summary),
        age_seconds=clock.age(summary.as_of),
    )
