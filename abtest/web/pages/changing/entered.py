"""What somebody typed into the form of an experiment, and the experiment that it declares."""

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from msgspec import Struct
from tornado.web import RequestHandler

from abtest import clock
from abtest.domain import FULL_COVERAGE, MOST_VARIANTS, Experiment
from abtest.language import coverage_said
from abtest.management import as_declared
from abtest.results import parse_whole

DRAFT, NOW, LATER = "draft", "now", "at"
"""When an experiment begins: when somebody starts it, at once, or at a time."""
TEXTS = {
    "key": "",
    "description": "",
    "type": "string",
    "baseline": "1",
    "coverage": "",
    "group": "",
    "group_share": "",
    "planned": "",
    "base": "",
    "mean": "",
    "deviation": "",
    "effect": "",
    "per_day": "",
    "begin": DRAFT,
    "start_at": "",
    "end_at": "",
    "stop_at": "",
}
"""Every field that there is once, and what is in it at first. `baseline`: the number of a row of the variants."""
PLANNING = ("base", "mean", "deviation", "effect", "per_day")
"""Those that only the planner reads."""
COLUMNS = {
    "variants": ("value", "weight"),
    "audience": ("attribute", "operator", "wanted"),
    "metrics": ("kind", "event", "days", "direction"),
}
"""Fields that there are in each row, the first one as what makes a row count."""
FILLED = {"variants": "value", "audience": "wanted", "metrics": "event"}
"""The field without which a row says nothing."""
BLANK = {
    "variants": {"value": "", "weight": "50"},
    "audience": {"attribute": "platform", "operator": "=", "wanted": ""},
    "metrics": {"kind": "conversion", "event": "", "days": "", "direction": "more"},
}
MOST_ROWS = MOST_VARIANTS
WITHOUT_ZONE = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?")
"""A time as browsers send it; the form says that it is UTC."""

Row = Mapping[str, str]


class Entered(Struct, frozen=True):
    """What is in the fields, exactly as it was typed: `texts` by field, `rows` by list."""

    texts: Mapping[str, str]
    rows: Mapping[str, tuple[Row, ...]]

    def filled(self, name: str) -> list[tuple[int, Row]]:
        """The rows of a list that say something, with their numbers."""
        rows = enumerate(self.rows[name], start=1)
        return [(number, row) for number, row in rows if row[FILLED[name]]]

    def with_row(self, name: str) -> "Entered":
        """With one row more, if there may be more."""
        rows = self.rows[name]
        blank = BLANK[name] | ({"weight": rows[-1]["weight"]} if name == "variants" and rows else {})
        return self.with_rows(name, (*rows, blank)[:MOST_ROWS])

    def without_row(self, name: str, number: int) -> "Entered":
        """Without that row. The baseline stays the same one, or becomes the first."""
        found = self.with_rows(name, [row for place, row in enumerate(self.rows[name], start=1) if place != number])
        baseline = self.texts["baseline"]
        if name == "variants" and baseline.isdecimal():
            place = int(baseline)
            return found.having("baseline", str(1 if place == number else place - (place > number)))
        return found

    def with_cell(self, name: str, number: int, column: str, text: str) -> "Entered":
        """With another text in that row."""
        rows = enumerate(self.rows[name], start=1)
        return self.with_rows(name, [{**row, column: text} if place == number else row for place, row in rows])

    def with_rows(self, name: str, rows: Sequence[Row]) -> "Entered":
        """With other rows in a list."""
        return Entered(self.texts, {**self.rows, name: tuple(rows)})

    def having(self, field: str, text: str) -> "Entered":
        """With another text in a field."""
        return Entered({**self.texts, field: text}, self.rows)

    def fields(self) -> dict[str, Any]:
        """The fields of a TOML file that it means; those that are empty are left out. Raises InvalidSetting."""
        texts = self.texts
        values = {str(number): row["value"] for number, row in self.filled("variants")}
        found: dict[str, Any] = {
            "key": texts["key"],
            "description": " ".join(texts["description"].split("\n")),
            "type": texts["type"],
            "variants": [
                {"value": row["value"], "weight": row["weight"].strip().removesuffix("%")}
                for _, row in self.filled("variants")
            ],
            "audience": [f"{row['attribute']}{row['operator']}{row['wanted']}" for _, row in self.filled("audience")],
            "metrics": [_metric(row) for _, row in self.filled("metrics")],
            "baseline": values.get(texts["baseline"], ""),
            "coverage": texts["coverage"],
            "group": texts["group"],
            "group_share": texts["group_share"] if texts["group"] else "",
            "start_at": _time(texts["start_at"]) if texts["begin"] == LATER else "",
            "end_at": _time(texts["end_at"]) if texts["end_at"] else "",
            **{name: parse_whole(texts[name], name) if texts[name] else "" for name in ("planned", "stop_at")},
        }
        if texts["begin"] == DRAFT:
            found["draft"] = True
        needed = {"key", "variants"} | ({"start_at"} if texts["begin"] == LATER else set())
        return {name: field for name, field in found.items() if name in needed or field not in ("", [])}


NOTHING = Entered(
    TEXTS,
    {"variants": (BLANK["variants"],) * 2, "audience": (BLANK["audience"],), "metrics": (BLANK["metrics"],)},
)
"""The form at first."""


def sent(handler: RequestHandler) -> Entered:
    """What a request has in the fields."""
    texts = {
        name: handler.get_body_argument(name, text, strip=name != "description").replace("\r\n", "\n")
        for name, text in TEXTS.items()
    }
    rows = {}
    for name, columns in COLUMNS.items():
        there = [handler.get_body_arguments(column, strip=column != "value") for column in columns]
        rows[name] = tuple(dict(zip(columns, row, strict=True)) for row in zip_longest(*there, fillvalue=""))
    return Entered(texts, rows)


def shown(experiment: Experiment) -> Entered:
    """The form of an experiment as it is."""
    new = as_declared(experiment).new
    return Entered(
        TEXTS
        | {
            "key": new.key,
            "description": new.description,
            "type": new.type.value,
            "baseline": str(experiment.baseline_place + 1),
            "coverage": "" if new.coverage == FULL_COVERAGE else coverage_said(new.coverage),
            "group": new.group or "",
            "group_share": coverage_said(new.group_share) if new.group_share else "",
            "planned": str(new.planned or ""),
            "begin": DRAFT if new.start_at is None else LATER,
            "start_at": _local(new.start_at),
            "end_at": _local(new.end_at),
            "stop_at": str(new.stop_at or ""),
        },
        {
            "variants": tuple({"value": each.value, "weight": f"{each.weight:f}"} for each in new.variants),
            "audience": tuple(
                {"attribute": each.attribute, "operator": each.operator.value, "wanted": ", ".join(each.values)}
                for each in experiment.audience
            )
            or NOTHING.rows["audience"],
            "metrics": tuple(
                {
                    "kind": each.kind,
                    "event": each.event,
                    "days": str(each.window_days or ""),
                    "direction": "less" if each.less else "more",
                }
                for each in experiment.metrics
            )
            or NOTHING.rows["metrics"],
        },
    )


def _metric(row: Row) -> str:
    window = f"/{row['days']}d" if row["days"] else ""
    return f"{row['kind']}:{row['event']}{window}{' less' if row['direction'] == 'less' else ''}"


def _time(text: str) -> str:
    """As RFC 3339 writes it; what is no time stays as it is."""
    match = WITHOUT_ZONE.fullmatch(text)
    return f"{match[1]}T{match[2]}{match[3] or ':00'}Z" if match else text


def _local(time: int | None) -> str:
    """As browsers take it."""
    return "" if time is None else clock.moment(time).replace(tzinfo=None).isoformat()
