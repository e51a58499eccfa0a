"""The words of the product as frozen values, with their rules. Rows and dicts never leave the store."""

from abtest.domain.attributes import KNOWN_ATTRIBUTES, MOST_PROFILES, NO_ATTRIBUTES, Attributes, readable
from abtest.domain.audience import (
    Audience,
    Condition,
    Operator,
    failed,
    parse_audience,
    parse_condition,
)
from abtest.domain.devices import LONGEST_TOKEN, TOKEN_RULE, check_token
from abtest.domain.documents import finding, read_json
from abtest.domain.events import EVENT, EVENT_RULE, Event
from abtest.domain.experiments import (
    KEY,
    LONGEST_VALUE,
    MOST_PLANNED,
    MOST_VARIANTS,
    Change,
    Experiment,
    NewExperiment,
    Phase,
    Status,
    Variant,
    check_baseline,
    check_planned,
    in_order,
    is_open,
    parse_weight,
)
from abtest.domain.metrics import Metric, parse_metrics
from abtest.domain.tally import Cell, Held, Occurrence, Showing, Sums, Tally, add_buckets
from abtest.domain.values import TYPE_RULE, Type, same, typed

__all__ = [
    "EVENT",
    "EVENT_RULE",
    "KEY",
    "KNOWN_ATTRIBUTES",
    "LONGEST_TOKEN",
    "LONGEST_VALUE",
    "MOST_PLANNED",
    "MOST_PROFILES",
    "MOST_VARIANTS",
    "NO_ATTRIBUTES",
    "TOKEN_RULE",
    "TYPE_RULE",
    "Attributes",
    "Audience",
    "Cell",
    "Change",
    "Condition",
    "Event",
    "Experiment",
    "Held",
    "Metric",
    "NewExperiment",
    "Occurrence",
    "Operator",
    "Phase",
    "Showing",
    "Status",
    "Sums",
    "Tally",
    "Type",
    "Variant",
    "add_buckets",
    "check_baseline",
    "check_planned",
    "check_token",
    "failed",
    "finding",
    "in_order",
    "is_open",
    "parse_audience",
    "parse_condition",
    "parse_metrics",
    "parse_weight",
    "read_json",
    "readable",
    "same",
    "typed",
]
