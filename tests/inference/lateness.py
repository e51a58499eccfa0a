"""`python -m tests.inference.lateness [RUNS]`: the one test of a plan where devices convert late.

The plan is for 80%: 2 x 8,143 devices, of which 5% convert, and 6% in the other variant. They come within a week.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from abtest.inference.comparison import plan_lifts
from abtest.inference.due import Arrivals, Came, comparable_from, reached, timing
from abtest.inference.question import Question
from abtest.inference.statistics.moments import Moments

DEVICES, DAYS, LAST = 8_143, 7, 300
QUESTION = Question("conversion", ("a", "b"), days=30.0, planned=2 * DEVICES)
Delays = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.int64]]
KINDS: dict[str, Delays] = {
    "at once": lambda _, shape: np.zeros(shape, dtype=np.int64),
    "20 days on average": lambda random, shape: random.exponential(20, shape).astype(np.int64),
    "all after 20 days": lambda _, shape: np.full(shape, 20),
    "a third at once, the others after 20 days": lambda random, shape: np.where(random.random(shape) < 1 / 3, 0, 20),
}


def claims(delays: Delays, lift: float, runs: int) -> Iterator[tuple[int, bool, bool]]:
    """The day on which the test is made, whether it shows a difference, and whether it would have on the first day
    on which it can be made. Days are counted from 0."""
    random = np.random.default_rng(1)
    for _ in range(runs):
        came = random.integers(0, DAYS, (2, DEVICES))
        converts = random.random((2, DEVICES)) < np.array([[0.05], [0.05 * (1 + lift)]])
        late = delays(random, (2, DEVICES))
        converted: dict[int, Counter[int]] = {}
        for day, delay in zip((came + late)[converts].tolist(), late[converts].tolist(), strict=True):
            converted.setdefault(day, Counter())[delay] += 1
        rows = _by_day(came, came + late, converts)
        there, comparable = reached(QUESTION, rows, 1), comparable_from(QUESTION, rows, 1)
        made = timing(Arrivals(Counter(came.ravel().tolist()), converted), there, comparable, None, LAST).made
        assert made is not None
        counts = [
            [int(((came + late)[arm][converts[arm]] <= day).sum()) for arm in (0, 1)] for day in (made, DAYS - 1)
        ]
        waited, at_once = map(_shown, counts)
        yield made, waited, at_once


def _by_day(came: NDArray[np.int64], received: NDArray[np.int64], converts: NDArray[np.bool_]) -> list[Came]:
    found = []
    for day in range(LAST):
        found += [(day, 1, arm, int((came[arm] == day).sum()), 0) for arm in (0, 1)]
        found += [(day, 1, arm, 0, int((received[arm][converts[arm]] == day).sum())) for arm in (0, 1)]
    return found


def _shown(converters: list[int]) -> bool:
    stratum = tuple(Moments(DEVICES, DEVICES, each, each, each) for each in converters)
    return any(each.shown for each in plan_lifts(QUESTION, {1: [stratum]}).values())


def main(runs: int) -> None:
    """Print how often a difference is shown, with and without one."""
    for name, delays in KINDS.items():
        for lift in (0.0, 0.2):
            days, waited, at_once = np.mean(list(claims(delays, lift, runs)), axis=0)
            print(f"{name}, {lift:+.0%}: made on day {days:.0f}, shown in {waited:.1%}; at once in {at_once:.1%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
