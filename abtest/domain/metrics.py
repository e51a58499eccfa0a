"""What experiments are judged by."""

import re
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from abtest.domain.events import EVENT, EVENT_RULE
from abtest.errors import InvalidExperiment

METRIC = re.compile(rf"(conversion|amount):({EVENT.pattern})(?:/([1-9][0-9]{{0,2}})d)?(\s+less)?")
MOST_METRICS = 50
"""The limit in an experiment: the worker counts each event once for each of its metrics."""
HARM = re.compile(r"(?:^|[_.-])(?:refund|crash|uninstall|error|cancel|complain|churn|unsubscri|chargeback|fail)")
"""An event whose name has a word that begins like this usually does harm: less of it is better."""


class Metric(Struct, frozen=True):
    """What an experiment is judged by: whether an event happened, or the sum of its amounts.

    `window_days`: only events within this many days from first seen count; None for no limit. `less`: whether less
    is better.
    """

    kind: Literal["conversion", "amount"]
    event: str
    window_days: int | None = None
    less: bool = False

    def __str__(self) -> str:
        window, less = f"/{self.window_days}d" if self.window_days else "", " less" if self.less else ""
        return f"{self.kind}:{self.event}{window}{less}"

    @property
    def in_doubt(self) -> bool:
        """Whether `less` may have been forgotten: the event's name sounds like harm."""
        return not self.less and HARM.search(self.event) is not None


def parse_metrics(texts: Sequence[str]) -> tuple[Metric, ...]:
    """Metrics from KIND:EVENT or KIND:EVENT/DAYSd, then `less` if less is better; the first is the primary one.

    Raises InvalidExperiment.
    """
    if len(texts) > MOST_METRICS:
        raise InvalidExperiment(f"must be at most {MOST_METRICS}, not {len(texts)}", field="metrics")
    metrics = []
    for place, text in enumerate(texts, start=1):
        match = METRIC.fullmatch(text.strip())
        if not match or match[2] == "exposure":
            raise InvalidExperiment(
                _wrong_part(text),
                field=f"metrics[{place - 1}]",
                said=f"metric {place}",
                hint="write conversion:purchase or amount:purchase, conversion:purchase/14d for a window of 14 days, "
                "'conversion:refund less' if less is better",
            )
        kind: Literal["conversion", "amount"] = "amount" if match[1] == "amount" else "conversion"
        metrics.append(Metric(kind, match[2], int(match[3] or 0) or None, match[4] is not None))
    if len({(metric.kind, metric.event, metric.window_days) for metric in metrics}) < len(metrics):
        raise InvalidExperiment("the same metric is given twice", field="metrics")
    return tuple(metrics)


def _wrong_part(text: str) -> str:
    """Which part of a metric can't be accepted, and why."""
    first, *words = text.split() or [""]
    kind, _, rest = first.partition(":")
    event, _, window = rest.partition("/")
    if kind not in {"conversion", "amount"}:
        return "the kind, before the colon, must be conversion or amount"
    if event == "exposure":
        return "the event can't be exposure"
    if not EVENT.fullmatch(event):
        return f"the event must be {EVENT_RULE}"
    if words and words != ["less"]:
        return f"only the word less may follow the metric, not {' '.join(words)!r}"
    return f"the window {window!r} must be 1d to 999d"
