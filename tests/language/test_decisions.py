"""What was decided, as people read it."""

from decimal import Decimal

import pytest

from abtest.domain import PROGRAM, WORKER, By, Experiment, Hand, Phase, Status
from abtest.language import decision_said

AT, SAID = 1_764_460_800_000, "on 30 Nov 2025, 00:00 UTC"


def finished(winner: str | None, because: str, at: int | None, by: By | None) -> Experiment:
    return Experiment(
        id=1,
        key="price",
        description="",
        status=Status.FINISHED,
        created_at=0,
        created_after_device=0,
        values=("10", "20"),
        phases=(Phase(1, (Decimal(1), Decimal(1)), 0, 0),),
        metrics=(),
        winner=winner,
        ended_at=AT,
        because=because,
        decided_at=at,
        decided_by=by,
    )


@pytest.mark.parametrize(
    ("decided", "said"),
    [
        (
            ("20", "it sells", AT, By(Hand.PERSON, "anna")),
            ["winner 20", "because: it sells", f"decided by anna {SAID}"],
        ),
        ((None, "", AT, By(Hand.ACCESS_TOKEN, "ci")), ["no winner", f"decided by the access token ci {SAID}"]),
        ((None, "", AT, By(Hand.COMMAND_LINE, "ben")), ["no winner", f"decided by ben on the command line {SAID}"]),
        ((None, "", AT, WORKER), ["no winner", f"ended by its schedule {SAID}"]),
        ((None, "", AT, PROGRAM), ["no winner", f"decided {SAID}"]),
        (("20", "", None, None), ["winner 20"]),
        (("Buy now", "", None, None), ["winner “Buy now”"]),
    ],
)
def test_a_decision_says_what_and_why_and_who(
    decided: tuple[str | None, str, int | None, By | None], said: list[str]
) -> None:
    assert decision_said(finished(*decided)) == said
