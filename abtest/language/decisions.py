"""What was decided when an experiment was finished, why, and by whom, in words."""

from collections.abc import Mapping

from abtest import clock
from abtest.domain import WORKER, Experiment, Hand
from abtest.language.quoting import value_said
from abtest.language.times import exact_time

BY: Mapping[str, str] = {
    Hand.PERSON: "by {}",
    Hand.ACCESS_TOKEN: "by the access token {}",
    Hand.COMMAND_LINE: "by {} on the command line",
}


def decision_said(experiment: Experiment) -> list[str]:
    """winner 20; because people buy more; decided by anna on 12 Nov 2026, 13:05 UTC. Empty before it is finished."""
    if experiment.ended_at is None:
        return []
    winner = "no winner" if experiment.winner is None else f"winner {value_said(experiment.winner)}"
    because = f"because: {experiment.because}" if experiment.because else ""
    at = experiment.decided_at
    decided = "" if at is None else f"{decided_said(experiment)} on {exact_time(clock.iso(at))} UTC"
    return [line for line in (winner, because, decided) if line]


def decided_said(experiment: Experiment) -> str:
    """decided by anna; ended by its schedule; decided, if it is not known by whom."""
    by = experiment.decided_by
    if by == WORKER:
        return "ended by its schedule"
    how = "" if by is None else BY.get(by.kind, "").format(by.name)
    return f"decided {how}".rstrip()
