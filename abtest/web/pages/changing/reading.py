"""Which fields of the form can't be accepted, all of them at once, with what the services say about each."""

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from abtest.domain import NewExperiment
from abtest.errors import AbtestError, Conflict, InvalidExperiment, UnknownExperiment
from abtest.language import forms
from abtest.management import Step, read_declared
from abtest.web.pages.changing.entered import DRAFT, Entered, Row
from abtest.web.pages.rendering import first_upper

ANCHORS = {
    "variants": "value-1",
    "weights": "weight-1",
    "baseline": "baseline-1",
    "audience": "wanted-1",
    "metrics": "event-1",
}
"""The fields to which the faults of what has no field of its own lead."""
IN_LIST = re.compile(r"(variants|audience|metrics)\[(\d+)\](?:\.(value|weight))?")
IN_ROW = {"audience": "wanted", "metrics": "event"}
"""The field of a row to which the faults of the whole row lead."""
LISTS = {"value": "variants", "weight": "variants", "wanted": "audience", "event": "metrics"}
ACCEPTED = {"key": "key", "type": "string", "value": "\N{HORIZONTAL ELLIPSIS}", "weight": "1", "begin": DRAFT}
ROWS_WITHOUT: Mapping[str, tuple[Row, ...]] = {
    "variants": tuple({"value": value, "weight": "1"} for value in "12"),
    "audience": (),
    "metrics": (),
}
"""What is read on with in the place of what is wrong; other fields are left out."""


class Fault(Struct, frozen=True):
    """Why a field can't be accepted: `name`, with the number of its row, and the sentence."""

    name: str
    sentence: str
    number: int | None = None

    @property
    def field(self) -> str:
        """The id of the field."""
        return ANCHORS.get(self.name, self.name) if self.number is None else f"{self.name}-{self.number}"

    @property
    def label(self) -> str:
        """What the field is called."""
        label = forms.EXPERIMENT_LABELS.get(self.name, "")
        return label if self.number is None else f"{label} {self.number}"


class Found(Struct, frozen=True):
    """What was read. `new`: without what is wrong, so that the rest can be looked at; None if there is no rest.

    `steps`: what would be done to an experiment that there is.
    """

    new: NewExperiment | None
    faults: tuple[Fault, ...] = ()
    steps: tuple[Step, ...] = ()

    def with_faults(self, faults: Iterable[Fault]) -> "Found":
        """The same with these faults too, in the order of the form."""
        names = list(forms.EXPERIMENT_LABELS)
        known = {fault.field: fault for fault in (*faults, *self.faults)}
        order = sorted(
            known.values(), key=lambda each: (names.index(each.name) if each.name in names else -1, each.number or 0)
        )
        return Found(self.new, tuple(order), self.steps)

    def is_sound(self, *names: str) -> bool:
        """Whether there is no fault in these fields."""
        return not any(fault.name in names for fault in self.faults)


def read(entered: Entered) -> Found:
    """What was typed, and everything that is wrong with it: what is, is left out to read the rest."""
    faults: list[Fault] = []
    while True:
        try:
            return Found(read_declared(entered.fields()).new).with_faults(faults)
        except AbtestError as error:
            fault = located(error, entered)
            if fault in faults or not fault.name:
                return Found(None).with_faults([*faults, fault])
            faults.append(fault)
            entered = _without(entered, fault)


def located(error: AbtestError, entered: Entered) -> Fault:
    """Where an error belongs. One that belongs nowhere is of the whole form: its name is empty."""
    if isinstance(error, UnknownExperiment):
        return Fault(error.kind, _sentence(str(error)))
    if isinstance(error, Conflict):
        return Fault("key" if error.code == "experiment_exists" else "", _sentence(str(error)))
    reason = _sentence(error.fault if isinstance(error, InvalidExperiment) else error.reason)
    if match := IN_LIST.fullmatch(error.field or ""):
        name = match[3] or IN_ROW.get(match[1], "")
        return Fault(name, reason, _number(entered, name, int(match[2])))
    return Fault(error.field or "", reason)


def _number(entered: Entered, name: str, place: int) -> int:
    """The number of the row that was read as the one at this place."""
    return entered.filled(LISTS[name])[place][0]


def _without(entered: Entered, fault: Fault) -> Entered:
    """The same with something that can be accepted, or nothing, where the fault is."""
    name, number = fault.name, fault.number
    rows = LISTS.get(name, name)
    if number is not None:
        found = entered.with_cell(rows, number, name, ACCEPTED.get(name, ""))
    elif name == "weights":
        found = entered.with_rows("variants", [{**row, "weight": "1"} for row in entered.rows["variants"]])
    elif rows in ROWS_WITHOUT:
        found = entered.with_rows(rows, ROWS_WITHOUT[rows])
    else:
        instead = {"start_at": "begin", "group_share": "group"}.get(name, name)
        found = entered.having(instead, ACCEPTED.get(instead, ""))
    # No text is sure to be accepted as a value of any other type.
    return found.having("type", ACCEPTED["type"]) if name in {"value", "variants"} else found


def _sentence(reason: str) -> str:
    return f"{first_upper(reason)}."
