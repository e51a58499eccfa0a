"""Where each fault of the form belongs, and that all are found at once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtest.errors import Conflict, InvalidExperiment, UnknownExperiment
from abtest.language import forms
from abtest.web.pages.changing.entered import BLANK, COLUMNS, NOTHING, TEXTS, Entered
from abtest.web.pages.changing.reading import Fault, located, read

GOOD = Entered(
    {**TEXTS, "key": "price"},
    {**NOTHING.rows, "variants": ({"value": "10", "weight": "50"}, {"value": "20", "weight": "50"})},
)


def with_rows(entered: Entered, name: str, *rows: dict[str, str]) -> Entered:
    return entered.with_rows(name, [BLANK[name] | row for row in rows])


def test_what_was_typed_is_the_experiment() -> None:
    entered = with_rows(GOOD, "audience", {"wanted": "ios, android"}, {}, {"attribute": "country", "wanted": "DE"})
    entered = with_rows(
        entered, "metrics", {"event": "purchase", "days": "14"}, {}, {"event": "refund", "direction": "less"}
    )
    entered = with_rows(entered, "variants", {"value": "10", "weight": "75%"}, {"value": ""}, {"value": " 20 "})
    for field, text in (("baseline", "3"), ("coverage", "20%"), ("planned", "600"), ("description", "more\nmoney?")):
        entered = entered.having(field, text)
    found = read(entered)
    assert found.faults == ()
    assert found.new is not None
    assert [(each.value, f"{each.weight:f}") for each in found.new.variants] == [("10", "75"), (" 20 ", "50")]
    assert found.new.audience == ("platform=ios, android", "country=DE")
    assert found.new.metrics == ("conversion:purchase/14d", "conversion:refund less")
    assert (found.new.baseline, found.new.planned, found.new.description) == (" 20 ", 600, "more money?")
    assert found.new.draft


def test_a_time_that_is_typed_is_utc_and_counts_only_if_the_start_is_to_be_at_a_time() -> None:
    typed = GOOD.having("start_at", "2030-12-03T09:00")
    for begin, at, draft in (("draft", None, True), ("now", None, False), ("at", 1_922_518_800_000, False)):
        found = read(typed.having("begin", begin))
        assert found.new is not None
        assert (found.new.start_at, found.new.draft) == (at, draft)


@pytest.mark.parametrize(
    ("entered", "field", "words"),
    [
        (GOOD.having("key", "No"), "key", "Must be 1 to 64 characters from a-z"),
        (GOOD.having("description", "x" * 1001), "description", "Must have at most 1000 characters."),
        (GOOD.having("type", "colour"), "type", "Must be string, number, boolean or json."),
        (GOOD.having("type", "boolean"), "value-1", "The value can't be used as a boolean: write true or false."),
        (
            with_rows(GOOD, "variants", {"value": "x" * 200}, {"value": "1"}).having("type", "number"),
            "value-1",
            "The value can't be used as a number: write digits",
        ),
        (with_rows(GOOD, "variants", {"value": "10"}), "value-1", "Must be 2 to 20, not 1."),
        (with_rows(GOOD, "variants", {"value": "10"}, {"value": "10"}), "value-1", "The value '10' is given twice."),
        (with_rows(GOOD, "variants", {}, {"value": "1"}, {"value": "\x1b"}), "value-3", "The value must be UTF-8"),
        (with_rows(GOOD, "variants", {"value": "1"}, {"value": "2", "weight": "x"}), "weight-2", "Must be a decimal"),
        (
            with_rows(GOOD, "variants", {"value": "1"}, {"value": "2", "weight": "-1"}),
            "weight-2",
            "Must be a decimal",
        ),
        (
            with_rows(GOOD, "variants", {"value": "1", "weight": "0"}, {"value": "2", "weight": "0"}),
            "weight-1",
            "At least one must be above 0.",
        ),
        (with_rows(GOOD, "audience", {}, {"wanted": "a,,b"}), "wanted-2", "'platform=a,,b': a value must have"),
        (
            with_rows(GOOD, "audience", {"attribute": "mood", "wanted": "good"}),
            "wanted-1",
            "'mood=good': the attribute",
        ),
        (
            with_rows(GOOD, "audience", {"wanted": "ios"}, {"operator": "!=", "wanted": "ios"}),
            "wanted-1",
            "No device can fulfil platform=ios and platform!=ios.",
        ),
        (GOOD.having("coverage", "120%"), "coverage", "Must be above 0%"),
        (GOOD.having("group", "screen"), "group", "A group and a group share must be given together."),
        (
            GOOD.having("group", "screen").having("group_share", "2"),
            "group_share",
            "The percent sign is missing: write 2%.",
        ),
        (
            with_rows(GOOD, "metrics", {}, {"event": "Buy It"}),
            "event-2",
            "The event must be 1 to 64 characters from a-z, 0-9, '_', '.' and '-', "
            "and begin with a letter or a digit.",
        ),
        (with_rows(GOOD, "metrics", {"event": "a"}, {"event": "a"}), "event-1", "The same metric is given twice."),
        (GOOD.having("planned", "12,000"), "planned", "Must be a whole number, without a sign or a comma."),
        (GOOD.having("planned", "1"), "planned", "Must be from 2 devices, one for each variant, to 10^12."),
        (GOOD.having("stop_at", "0"), "stop_at", "Must be from 1 device"),
        (GOOD.having("begin", "at"), "start_at", "Must be a time"),
        (GOOD.having("end_at", "tomorrow"), "end_at", "Must be a time"),
    ],
)
def test_a_fault_stands_beside_its_field(entered: Entered, field: str, words: str) -> None:
    found = read(entered)
    (fault,) = found.faults
    assert fault.field == field
    assert fault.sentence.startswith(words)
    assert fault.label
    assert found.new is not None


def test_every_fault_is_found_at_once_in_the_order_of_the_form() -> None:
    entered = with_rows(
        GOOD, "variants", {"value": "1", "weight": "x"}, {"value": "\x07"}, {"value": "3", "weight": ""}
    )
    entered = with_rows(entered, "audience", {"wanted": ","}, {"attribute": "mood", "wanted": "good"})
    entered = with_rows(entered, "metrics", {"event": "A"}, {"event": "b"}, {"event": "C"})
    for field, text in (("key", "No"), ("coverage", "0"), ("planned", "many"), ("stop_at", "0"), ("end_at", "soon")):
        entered = entered.having(field, text)
    assert [fault.field for fault in read(entered).faults] == [
        *("key", "value-2", "weight-1", "weight-3", "wanted-1", "wanted-2", "coverage"),
        *("event-1", "event-3", "planned", "end_at", "stop_at"),
    ]


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (Conflict("the experiment 'price' already exists", code="experiment_exists"), "key"),
        (Conflict("something else", code="impossible_transition"), ""),
        (UnknownExperiment("screen", "group"), "group"),
        (InvalidExperiment("the group screen has 10% left", "group_share", "group share"), "group_share"),
        (InvalidExperiment("'10' has weight 0", "baseline", "price: baseline"), "baseline"),
        (InvalidExperiment("2020-01-01T00:00:00Z has passed", "end_at"), "end_at"),
        (InvalidExperiment("nobody knows"), ""),
        (InvalidExperiment("key: words that only look like a field"), ""),
    ],
)
def test_what_only_the_store_can_refuse_has_its_place_too(error: Exception, name: str) -> None:
    assert located(error, GOOD).name == name  # type: ignore[arg-type]  # each is an AbtestError


typed = st.one_of(st.sampled_from(["", "1", "20%", "0", "x", "a=b", "true", "{}", "1e9", "NaN"]), st.text(max_size=8))


@given(st.data())
def test_whatever_is_typed_is_read_to_the_end(data: Any) -> None:
    texts = {name: data.draw(typed) for name in TEXTS}
    rows = {
        name: tuple({column: data.draw(typed) for column in columns} for _ in range(data.draw(st.integers(0, 4))))
        for name, columns in COLUMNS.items()
    }
    found = read(Entered(texts, rows))
    assert found.new is not None
    assert {fault.name for fault in found.faults} <= forms.EXPERIMENT_LABELS.keys()


def test_a_row_that_is_removed_takes_the_baseline_along() -> None:
    three = GOOD.with_row("variants").having("baseline", "3")
    assert three.without_row("variants", 1).texts["baseline"] == "2"
    assert three.without_row("variants", 3).texts["baseline"] == "1"
    assert three.having("baseline", "1").without_row("variants", 2).texts["baseline"] == "1"
    assert Fault("value", "", 2).label == "Value 2"
