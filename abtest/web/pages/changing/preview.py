"""What comes of the experiment that the form describes, as its page shows it beside the form."""

from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from abtest.domain import Condition, Experiment, Metric, NewExperiment, parse_metrics, path_of
from abtest.errors import InvalidSetting
from abtest.inference import planning
from abtest.language import forms
from abtest.results import PROSPECTIVE_DEVICES, Prospect, ProspectService, parse_whole
from abtest.web.pages.changing.entered import Entered
from abtest.web.pages.changing.reading import Fault, Found
from abtest.web.pages.planning import FIELDS, Answer, answered

PLANNED_KINDS = ("conversion", "amount")
BEGIN_A_PHASE = {"weights", "coverage", "stop_at"}


class Call(Struct, frozen=True):
    """What an app asks, and what it is answered."""

    request: str
    answer: str


class Preview(Struct, frozen=True):
    """`prospect`, `call`: None while the variants can't be drawn from.

    `answer`: of the planner, if an effect is planned; `unplanned`: why it has none. `per_day`: new devices that take
    part. `days`: until so many are there as are planned. `experiment`: the one that is changed.
    """

    entered: Entered
    found: Found
    devices: int = PROSPECTIVE_DEVICES
    prospect: Prospect | None = None
    call: Call | None = None
    answer: Answer | None = None
    unplanned: str = ""
    per_day: int | None = None
    days: int | None = None
    experiment: Experiment | None = None

    @property
    def phase(self) -> int | None:
        """The number of the phase that the changes begin."""
        begins = any(step.field in BEGIN_A_PHASE for step in self.found.steps)
        return self.experiment.phase.number + 1 if self.experiment and begins else None

    @property
    def missing(self) -> tuple[Fault, ...]:
        """What has to be there and is empty: no fault yet while somebody types."""
        empty = {"key"} - {name for name, text in self.entered.texts.items() if text}
        empty |= {"variants"} if len(self.entered.filled("variants")) < 2 else set()
        return tuple(fault for fault in self.found.faults if fault.name in empty)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All others."""
        return tuple(fault for fault in self.found.faults if fault not in self.missing)


async def preview(
    entered: Entered, found: Found, prospects: ProspectService, app: str, experiment: Experiment | None = None
) -> Preview:
    """What comes of what was typed, and read. Nothing is stored."""
    new, drawable = found.new, found.is_sound("variants", "weights", "value", "weight")
    if new is None or not drawable:
        return Preview(entered, found, experiment=experiment)
    prospect = await prospects.of(new)
    per_day = _per_day(entered, prospect)
    answer, unplanned = _planned(entered, new, per_day)
    planned = new.planned if answer is None else answer.plan.planned
    return Preview(
        entered,
        found,
        prospect=prospect,
        call=_call(new, prospect, app),
        answer=answer,
        unplanned=unplanned,
        per_day=per_day,
        days=planning.days(planned, per_day) if planned and per_day else None,
        experiment=experiment,
    )


def _per_day(entered: Entered, prospect: Prospect) -> int | None:
    """How many of the devices of a day take part; None if nothing is known."""
    text = entered.texts["per_day"]
    try:
        return prospect.taking_part(parse_whole(text, "per_day") if text else prospect.per_day) or None
    except InvalidSetting:
        return None


def _planned(entered: Entered, new: NewExperiment, per_day: int | None) -> tuple[Answer | None, str]:
    metrics = parse_metrics(new.metrics)
    if not entered.texts["effect"] or not metrics or metrics[0].kind not in PLANNED_KINDS:
        return None, ""
    try:
        return answered(_asked(entered.texts, new, metrics[0], per_day)), ""
    except InvalidSetting as error:
        return None, f"{forms.EXPERIMENT_LABELS.get(error.field or '', 'Plan')}: {error.reason}."


def _asked(texts: Mapping[str, str], new: NewExperiment, metric: Metric, per_day: int | None) -> dict[str, str]:
    """The planner's form with what is planned."""
    baseline = new.variants[0].value if new.baseline is None else new.baseline
    ordered = sorted(new.variants, key=lambda variant: variant.value != baseline)
    return FIELDS | {
        "metric": metric.kind,
        "less": "yes" if metric.less else "",
        "weights": " ".join(f"{variant.weight:f}" for variant in ordered if variant.weight),
        "per_day": str(per_day or ""),
        **{name: texts[name] for name in ("base", "mean", "deviation", "effect")},
    }


def _call(new: NewExperiment, prospect: Prospect, app: str) -> Call:
    attributes = {each.attribute: _example(each) for each in prospect.audience}
    query = f"?{urlencode(attributes)}" if attributes else ""
    (value, *_) = (share.value for share in prospect.shares if share.part)
    return Call(f"GET {path_of(app)}/api/v1/experiments{query}", msgspec.json.encode({new.key: value}).decode())


def _example(condition: Condition) -> str:
    """A value that fulfils it."""
    return next(filter(condition.is_fulfilled, condition.examples), condition.values[0])
