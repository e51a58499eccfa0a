"""`python -m tests.inference.simulations [RUNS]`: how often the rule is wrong, how often it finds what is there."""

import sys
from dataclasses import dataclass

import numpy as np

from abtest.inference import testing
from abtest.inference.moments import Moments, Stratum, estimate
from abtest.inference.results import Question, judge

BASE = 0.05
VALUES = ("a", "b")


@dataclass(frozen=True)
class Found:
    """In which part of the runs the rule, the sequence alone, and a fixed test at every look claimed a difference."""

    rule: float
    sequence: float
    peeking: float
    fixed: float


def simulate(runs: int, effect: float, per_arm: int, looks: int, seed: int = 1) -> Found:
    """Experiments with two arms that are looked at so often, at equal distances, up to the planned size."""
    random = np.random.default_rng(seed)
    step = per_arm // looks
    rates = np.array([BASE, BASE * (1 + effect)])
    rule = sequence = peeking = fixed = 0
    for _ in range(runs):
        counts = np.cumsum(random.binomial(step, rates, size=(looks, 2)), axis=0)
        claims = [_claims(step * (look + 1), tuple(map(int, row)), per_arm) for look, row in enumerate(counts)]
        rule += any(claim[0] for claim in claims)
        sequence += any(claim[1] for claim in claims)
        peeking += any(claim[2] for claim in claims)
        fixed += claims[-1][2]
    return Found(rule / runs, sequence / runs, peeking / runs, fixed / runs)


def coverage(runs: int, per_arm: int, effect: float, seed: int = 1) -> float:
    """In which part of the runs the 95 % interval of the lift holds the true one."""
    random = np.random.default_rng(seed)
    held = 0
    for _ in range(runs):
        a, b = (int(count) for count in random.binomial(per_arm, [BASE, BASE * (1 + effect)]))
        found = judge(Question("conversion", VALUES, days=30.0), [(_rate(per_arm, a), _rate(per_arm, b))])
        lift = found.comparisons[0].lift
        held += lift is not None and lift.low <= effect <= lift.high
    return held / runs


def _claims(n: int, counts: tuple[int, ...], per_arm: int) -> tuple[bool, bool, bool]:
    stratum: Stratum = (_rate(n, counts[0]), _rate(n, counts[1]))
    planned = Question("conversion", VALUES, days=30.0, planned=2 * per_arm)
    at_plan = [stratum] if n == per_arm else None
    rule = judge(planned, [stratum], at_plan).verdict.code == "difference"
    alone = judge(Question("conversion", VALUES, days=30.0), [stratum]).verdict.code == "difference"
    one, other = (estimate([stratum], place, [0, 1]) for place in (0, 1))
    assert one is not None
    assert other is not None
    p = testing.welch(one, other)
    return rule, alone, p is not None and p < 0.05


def _rate(n: int, converters: int) -> Moments:
    return Moments(n, n, converters, converters, converters)


def main(runs: int) -> None:
    """Print the figures."""
    nothing = simulate(runs, 0.0, 6_000, 30)
    print(f"A/A, 30 looks, 2 x 6,000, {runs:,} runs: the rule {nothing.rule:.1%}, the sequence alone "
          f"{nothing.sequence:.1%}, a test at each look {nothing.peeking:.1%}, one {nothing.fixed:.1%}")  # fmt: skip
    there = simulate(runs, 0.2, 6_000, 30, seed=2)
    print(f"+20 % on 5 %, 2 x 6,000, {runs:,} runs: the rule {there.rule:.1%}, the sequence alone "
          f"{there.sequence:.1%}, one test {there.fixed:.1%}")  # fmt: skip
    for effect in (0.0, 0.2):
        print(f"95 % interval of the lift, true {effect:.0%}: holds it in {coverage(runs, 6_000, effect):.1%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)
