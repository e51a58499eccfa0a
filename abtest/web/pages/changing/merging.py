"""What somebody typed about an experiment that there is: with what can't be changed, and what others changed."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from abtest.domain import Experiment, Status
from abtest.language import forms
from abtest.web.pages.changing.entered import PLANNING, TEXTS, Entered, Row, shown
from abtest.web.pages.changing.reading import Fault

FOR_EVER = ("description", "metrics", "baseline")
UNTIL_THE_END = ("variants", "coverage", "group", "group_share", "end_at", "stop_at")
"""Fields that can be changed; others can be until the experiment is started, or has its first device."""
MISSING: Row = {}


def editable(experiment: Experiment) -> tuple[str, ...]:
    """The fields of it that somebody can change."""
    return (
        *FOR_EVER,
        *(() if experiment.status.over else UNTIL_THE_END),
        *(() if experiment.enrolled else ("planned",)),
        *(("begin", "start_at") if experiment.status is Status.DRAFT else ()),
    )


def edit(entered: Entered, experiment: Experiment) -> dict[str, Any]:
    """The fields that somebody edits, with nothing for those that were emptied. Raises InvalidSetting."""
    fields = entered.fields()
    return {name: fields.get(name) for name in editable(experiment) if name != "begin"}


def fixed(entered: Entered, experiment: Experiment) -> Entered:
    """What was typed, with what the experiment is where that can't be changed."""
    own, can = shown(experiment), {*editable(experiment), *PLANNING}
    typed = entered.rows["variants"][: len(experiment.values)] if "variants" in can else ()
    weights = zip_longest(own.rows["variants"], typed)
    return Entered(
        {name: entered.texts[name] if name in can else text for name, text in own.texts.items()},
        {
            "variants": tuple({**row, "weight": (new or row)["weight"]} for row, new in weights),
            "audience": own.rows["audience"],
            "metrics": entered.rows["metrics"],
        },
    )


def merged(seen: Entered, typed: Entered, present: Entered) -> Entered:
    """What was typed where it is not what was seen, and elsewhere what there is at present."""
    texts = {
        name: typed.texts[name] if name in PLANNING or typed.texts[name] != seen.texts.get(name) else now
        for name, now in present.texts.items()
    }
    variants = [
        {**now, "weight": now["weight"] if new.get("weight") == was.get("weight") else new.get("weight", "")}
        for was, new, now in _rows("variants", seen, typed, present)
    ]
    metrics = present if typed.rows["metrics"] == seen.rows.get("metrics") else typed
    return Entered(texts, {**present.rows, "variants": tuple(variants), "metrics": metrics.rows["metrics"]})


def disputed(seen: Entered, typed: Entered, present: Entered) -> tuple[Fault, ...]:
    """The fields that somebody else changed to something else than what was typed."""
    found = [
        _disputed(name, None, typed.texts[name], present.texts[name])
        for name in TEXTS
        if name in forms.EXPERIMENT_LABELS
        and len({seen.texts.get(name), typed.texts[name], present.texts[name]}) == 3
    ]
    for number, rows in enumerate(_rows("variants", seen, typed, present), start=1):
        was, new, now = (row.get("weight", "") for row in rows)
        if len({was, new, now}) == 3:
            found.append(_disputed("weight", number, new, now))
    metrics = [each.rows.get("metrics", ()) for each in (seen, typed, present)]
    if metrics[0] not in metrics[1:] and metrics[1] != metrics[2]:
        found.append(Fault("metrics", "Somebody else changed them too; the form has yours."))
    return tuple(found)


def lost(seen: Entered, typed: Entered, experiment: Experiment) -> tuple[tuple[str, str], ...]:
    """The labels of what was typed and can't be changed any more, each with what was typed."""
    gone = [name for name in (*UNTIL_THE_END, "planned", "start_at") if name not in editable(experiment)]
    found = [
        (forms.EXPERIMENT_LABELS[name], typed.texts[name])
        for name in gone
        if name in typed.texts and typed.texts[name] not in {"", seen.texts.get(name)}
    ]
    if "variants" in gone:
        rows = zip(seen.rows.get("variants", ()), typed.rows["variants"], strict=False)
        weights = [(was.get("weight", ""), new["weight"]) for was, new in rows]
        found += [
            (f"{forms.EXPERIMENT_LABELS['weight']} {number}", new)
            for number, (was, new) in enumerate(weights, start=1)
            if new != was
        ]
    return tuple(found)


def _disputed(name: str, number: int | None, typed: str, present: str) -> Fault:
    return Fault(name, f"It is {present or 'empty'} now; you typed {typed or 'nothing'}.", number)


def _rows(name: str, seen: Entered, typed: Entered, present: Entered) -> Iterator[tuple[Row, Row, Row]]:
    """The same row of each, as many as there are at present."""
    for place, now in enumerate(present.rows[name]):
        was, new = (dict(enumerate(each.rows.get(name, ()))).get(place, MISSING) for each in (seen, typed))
        yield was, new, now
