"""How long and how often to measure, and the results: two servers in turn, under the same load."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.load import Compared, load
from benchmarks.servers import Server

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """One line of the report. `goal` and `met` are None if the figure has no goal.

    `value` is a ratio to the yardstick if there is one; `absolute` is then the figure of the product itself.
    """

    name: str
    value: float
    unit: str
    goal: str | None = None
    met: bool | None = None
    note: str = ""
    absolute: float | None = None


@dataclass(frozen=True)
class Plan:
    """How much to measure: seconds per measurement, rounds of A B, numbers of connections, experiments and devices.

    `both`: numbers of connections with two processes. `slow`: the same on a slow disk.
    """

    seconds: float
    rounds: int
    connections: tuple[int, ...]
    both: tuple[int, ...]
    slow: tuple[int, ...]
    experiments: tuple[int, ...]
    sizes: tuple[int, ...]
    full: bool


QUICK = Plan(
    seconds=1,
    rounds=2,
    connections=(32,),
    both=(64,),
    slow=(256,),
    experiments=(1, 10),
    sizes=(10_000, 100_000),
    full=False,
)
FULL = Plan(
    seconds=2,
    rounds=3,
    connections=(1, 32, 64, 256),
    both=(1, 32, 64, 256),
    slow=(1, 32, 64, 256),
    experiments=(1, 2, 10),
    sizes=(10_000, 1_000_000),
    full=True,
)


def plural(connections: int) -> str:
    """The number with its word."""
    return f"{connections} connection{'s' if connections > 1 else ''}"


def rounds(
    plan: Plan, yardstick: Server, server: Server, case: str, connections: int, core: int | None = 1
) -> Compared:
    """Measure both servers in turn, A B A B, under the same load."""
    pairs = [
        [load(each, case, connections, plan.seconds, core) for each in (yardstick, server)]
        for _ in range(plan.rounds)
    ]
    return Compared(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


def rate(name: str, compared: Compared, goal: float | None) -> Result:
    """The result for requests per second; more is better."""
    return Result(
        f"{name}: requests/s",
        compared.rate_ratio,
        "x",
        None if goal is None else f">= {goal:g}",
        None if goal is None else compared.rate_ratio >= goal,
        f"{compared.rate:,.0f}/s; yardstick's spread {100 * compared.spread:.0f}%",
        compared.rate,
    )


def p99(name: str, compared: Compared, goal: float | None) -> Result:
    """The result for the latency; less is better."""
    return Result(
        f"{name}: p99",
        compared.p99_ratio,
        "x",
        None if goal is None else f"<= {goal:g}",
        None if goal is None else compared.p99_ratio <= goal,
        f"{compared.p99:.2f} ms; yardstick's spread {100 * compared.p99_spread:.0f}%",
        compared.p99,
    )
