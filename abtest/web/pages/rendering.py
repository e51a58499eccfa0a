"""Pages from templates, and numbers and times as people read them."""

import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

import abtest
from abtest import clock
from abtest.domain import Experiment, path_of
from abtest.language import (
    age,
    ago,
    audience_said,
    by_said,
    chance,
    condition_said,
    counted,
    coverage_said,
    decided_said,
    difference,
    duration,
    elsewhere_said,
    entry_said,
    exact_day,
    exact_time,
    exposure_told,
    figure,
    figure_percent,
    interval_said,
    mean,
    metric_name,
    next_said,
    number,
    p_is,
    p_value,
    percent,
    places,
    schedule_said,
    signed_percent,
    size,
    tenths,
    test_device_said,
    tested_said,
    unit,
    who_takes_part,
)
from abtest.management import app_option, ask_direction, possible
from abtest.results import often
from abtest.web.pages.colours import is_colour
from abtest.web.pages.forest import forest, history

LONGEST_IN_SENTENCE = 40
CODE = re.compile("`([^`]+)`")


def templates() -> Path:
    """The folder of the templates: inside the installed package, or at the top of the checkout."""
    package = Path(abtest.__file__).parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"


def since(milliseconds: int, now: int | None = None) -> Markup:
    """3 hours ago, or 12 Nov 2026 when that is more than a week ago; the exact time in the title."""
    exact, text = clock.iso(milliseconds), ago(milliseconds, clock.now() if now is None else now)
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(exact, text)


def exact(milliseconds: int) -> Markup:
    """12 Nov 2026, 13:05; the same with seconds in the title."""
    return at(clock.iso(milliseconds))


def at(text: str) -> Markup:
    """The same for an RFC 3339 time."""
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(text, exact_time(text))


def schedule(experiment: Experiment) -> str:
    """Starts 3 Dec 2026, 09:00 UTC; stops at 600 devices, 412 so far: empty without a plan."""
    return first_upper("; ".join(schedule_said(experiment, clock.now())))


def first_upper(text: str) -> str:
    """The text with a capital letter, and otherwise as it is."""
    return f"{text[:1].upper()}{text[1:]}"


def with_code(text: str) -> Markup:
    """The text, in which what stands between backticks is code."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))


def anchor(text: str) -> str:
    """The text as a part of an id."""
    return re.sub("[:/ ]", "-", text)


def is_long(text: str) -> bool:
    """Whether a value is cut where it stands among others."""
    return len(text) > LONGEST_IN_SENTENCE


def cut(text: str) -> str:
    """A long value without its middle: several may differ in nothing but their ends."""
    return f"{text[:24]}\N{HORIZONTAL ELLIPSIS}{text[-8:]}" if is_long(text) else text


def brief(sentence: str, values: Iterable[str]) -> str:
    """The sentence with long values cut."""
    for value in sorted(filter(is_long, values), key=len, reverse=True):
        sentence = sentence.replace(value, cut(value))
    return sentence


FILTERS: tuple[Callable[..., Any], ...] = (
    audience_said,
    condition_said,
    coverage_said,
    decided_said,
    by_said,
    who_takes_part,
    elsewhere_said,
    entry_said,
    test_device_said,
    tested_said,
    number,
    counted,
    percent,
    figure_percent,
    chance,
    signed_percent,
    difference,
    interval_said,
    unit,
    mean,
    figure,
    p_value,
    p_is,
    places,
    size,
    tenths,
    metric_name,
    exposure_told,
    first_upper,
    with_code,
    next_said,
    schedule,
    anchor,
    clock.iso,
    age,
    duration,
    exact_day,
    since,
    exact,
    at,
    often,
    is_long,
    cut,
    brief,
    forest,
    history,
    ask_direction,
    app_option,
    possible,
    path_of,
)


def render(template: str, **values: Any) -> str:
    """The page. Every value is escaped unless a template says otherwise."""
    return environment().get_template(template).render(**values)


@cache
def environment() -> jinja2.Environment:
    """Templates with the functions above as filters; a misspelt name is an error, not an empty text."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update({each.__name__: each for each in FILTERS})
    made.tests["colour"] = is_colour
    return made
