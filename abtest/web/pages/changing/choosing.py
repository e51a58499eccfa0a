"""The winners that can be named when an experiment is finished, with what the figures say of each. Pure."""

from msgspec import Struct

from abtest.domain import Experiment
from abtest.errors import InvalidField
from abtest.language import interval_said
from abtest.results import ExperimentResults

NO_WINNER = "none"


class Choice(Struct, frozen=True):
    """A value that can be the winner. `place`: how the form names it. `said`: a few words; empty without a metric."""

    place: str
    value: str
    said: str


def choices(experiment: Experiment, results: ExperimentResults) -> list[Choice]:
    """The values, in their order; of one that has a winner, that one alone."""
    return [
        Choice(str(place), value, _said(value, results))
        for place, value in enumerate(experiment.values)
        if experiment.winner in {None, value}
    ]


def chosen(experiment: Experiment, entered: str) -> str | None:
    """The winner; None for none. Raises InvalidField when nothing was chosen."""
    if entered == NO_WINNER:
        return None
    if entered not in {str(place) for place in range(len(experiment.values))}:
        raise InvalidField("choose a winner, or none", field="winner")
    return experiment.values[int(entered)]


def _said(value: str, results: ExperimentResults) -> str:
    metric, verdict = results.primary, results.verdict
    if metric is None or verdict is None:
        return ""
    if verdict.code == "not_trusted":
        return "don't trust its figures"
    if value == results.baseline:
        return "the baseline"
    compared = metric.comparison(value)
    lift = compared and compared.drawn
    interval = f": {interval_said(lift, metric.kind)}" if lift else ""
    if value in verdict.better:
        return f"better than the baseline{interval}"
    if value in verdict.worse:
        return f"worse than the baseline{interval}"
    return f"no difference shown{interval}" if compared and compared.safe else "not enough data"
