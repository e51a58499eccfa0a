"""Pages from templates, and numbers and times as people read them."""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import abtest
from abtest import clock
from abtest.inference.wording import duration, figure, part
from abtest.management.experiments import ask_direction
from abtest.results.outlook import often
from abtest.web.pages.colours import is_colour
from abtest.web.pages.forest import forest, history

AGES = ((86_400, "d"), (3_600, "h"), (60, "min"))
JUST_NOW = 60
RECENT = 7 * 86_400
MINUS = "\N{MINUS SIGN}"
SMALLEST_P = 0.0001
LONGEST_IN_SENTENCE = 40


def templates() -> Path:
    """The folder of the templates: inside the installed package, or at the top of the checkout."""
    package = Path(abtest.__file__).parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"


def number(value: float) -> str:
    """12,345."""
    return f"{value:,}"


def percent(value: float | Fraction | Decimal) -> str:
    """33.3 % of a value in percent; the space doesn't break."""
    return f"{float(value):.1f}\N{NO-BREAK SPACE}%"


def places(value: float | Fraction) -> str:
    """At most two places: 0.67, 3.75, 1,000, 0."""
    text = f"{float(value):,.2f}"
    return text.rstrip("0").rstrip(".")


def tenths(value: float | Fraction) -> str:
    """One place, so that a column of them is aligned: 388.5, 1,000.0."""
    return f"{float(value):,.1f}"


def signed_percent(part: float) -> str:
    """+12 % or -3.4 %, with a minus sign, of a part of 1."""
    return f"{signed(100 * part)}\N{NO-BREAK SPACE}%"


def signed(value: float) -> str:
    """+12 or -3.4, with a minus sign, and with two figures that count below ten."""
    return f"{'+' if value > 0 else ''}{figure(value)}".replace("-", MINUS)


def rate(part: float) -> str:
    """5.12 %, of a part of 1."""
    return f"{100 * part:,.2f}\N{NO-BREAK SPACE}%".replace("-", MINUS)


def amount(value: float) -> str:
    """1,234.50, or with three figures that count when it is small."""
    return (f"{value:,.2f}" if abs(value) >= 1 or not value else f"{value:.3g}").replace("-", MINUS)


def small(p: float) -> str:
    """A p-value: 0.031, or < 0.0001."""
    return "< 0.0001" if p < SMALLEST_P else f"{p:.2g}"


def age(seconds: float) -> str:
    """2 s, 5 min, 3 h, 12 d: whole units that have passed."""
    for size, unit in AGES:
        if seconds >= size:
            return f"{int(seconds // size)}\N{NO-BREAK SPACE}{unit}"
    return f"{int(seconds)}\N{NO-BREAK SPACE}s"


def since(milliseconds: int, now: int | None = None) -> Markup:
    """3 h ago, or 12 Nov 2026 when that is more than a week ago; the exact time in the title."""
    moment, exact = clock.moment(milliseconds), clock.iso(milliseconds)
    seconds = ((clock.now() if now is None else now) - milliseconds) / 1000
    if seconds < JUST_NOW:
        text = "just now"
    elif seconds < RECENT:
        text = f"{age(seconds)} ago"
    else:
        text = f"{moment:%-d %b %Y}"
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(exact, text)


def brief(sentence: str, values: Iterable[str]) -> str:
    """The sentence with long values cut in the middle: they may differ in nothing but their ends."""
    for value in sorted(values, key=len, reverse=True):
        if len(value) > LONGEST_IN_SENTENCE:
            sentence = sentence.replace(value, f"{value[:24]}\N{HORIZONTAL ELLIPSIS}{value[-8:]}")
    return sentence


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
    made.filters.update(
        number=number, percent=percent, places=places, tenths=tenths, age=age, since=since, often=often
    )
    made.filters.update(signed_percent=signed_percent, signed=signed, rate=rate, amount=amount, small=small)
    made.filters.update(forest=forest, history=history, brief=brief, duration=duration, figure=figure, part=part)
    made.filters.update(ask_direction=ask_direction)
    made.tests["colour"] = is_colour
    return made
