"""Numbers and counts as people read them."""

import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import abtest
from abtest.language.counts import counted, names
from abtest.language.numbers import (
    about,
    amount,
    chance,
    difference,
    figure,
    figure_percent,
    mean,
    number,
    p_value,
    percent,
    places,
    signed_percent,
    tenths,
    unit,
)
from abtest.web.pages.rendering import templates

COMMANDS = Path(abtest.__file__).parent / "commands"
PAGES = Path(abtest.__file__).parent / "web" / "pages"
OWN_FORMAT = re.compile(r":[+]?(?:,|,?(?:[.][0-9]+)?[fg%])[}]|[|](?:round|format)\b(?![(]3[)])|toFixed")
NOT_FOR_PEOPLE = {
    "behaving.py": 1,  # an amount in the body of a request
    "options.py": 1,  # a weight, as it was given
}


def test_english_writes_a_percentage_without_a_space() -> None:
    assert percent(Fraction(1, 3)) == "33.3%"
    assert (figure_percent(0.034), figure_percent(12.345), figure_percent(0.9991, 3)) == ("3.4%", "1,234%", "99.9%")
    assert (signed_percent(-0.034), signed_percent(0.12)) == ("\N{MINUS SIGN}3.4%", "+12%")


def test_another_language_has_its_own_marks() -> None:
    assert (number(12345.5, language="de"), percent(Fraction(1, 3), language="ru")) == (
        "12.345,5",
        "33,3\N{NO-BREAK SPACE}%",
    )


def test_amounts_have_cents_until_they_are_small() -> None:
    assert (amount(1234.5), amount(0.01234), amount(0)) == ("1,234.50", "0.0123", "0.00")
    assert (amount(-0.0000000556), amount(0.00006)) == ("0.00", "0.00006")


def test_a_mean_is_a_rate_or_an_amount_and_a_difference_is_relative_or_not() -> None:
    assert (mean(0.0512, "conversion"), mean(0.0512, "amount")) == ("5.12%", "0.0512")
    assert difference(0.123, True, "conversion") == "+12%"
    assert (difference(-0.123, False, "amount"), unit(False, "amount")) == ("\N{MINUS SIGN}0.12", "")
    assert (difference(-0.123, False, "conversion"), unit(False, "conversion")) == (
        "\N{MINUS SIGN}12",
        "percentage points",
    )


def test_places_are_at_most_two_or_always_one() -> None:
    assert (places(2 / 3), places(1000.0), places(0)) == ("0.67", "1,000", "0")
    assert (tenths(Fraction(777, 2)), tenths(1000)) == ("388.5", "1,000.0")


def test_no_page_and_no_command_formats_numbers_by_itself() -> None:
    files = [*templates().glob("*.html"), *COMMANDS.rglob("*.py"), *PAGES.glob("*.py"), *PAGES.glob("static/*.js")]
    found = {each.name: len(OWN_FORMAT.findall(each.read_text(encoding="utf-8"))) for each in files}
    assert {name: count for name, count in found.items() if count} == NOT_FOR_PEOPLE


def test_a_p_value_is_never_zero() -> None:
    assert (p_value(0.0312), p_value(1e-9)) == ("0.031", "< 0.0001")


def test_one_is_not_many() -> None:
    assert (counted(1, "device"), counted(1_234, "device")) == ("1 device", "1,234 devices")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (3.0, "3"), (3.44, "3.4"), (9.94, "9.9"), (9.96, "10"), (12.4, "12"), (1234.5, "1,234"),
        (0.0561, "0.056"), (-0.00000123, "-0.0000012"), (1.6e-12, "0.0000000000016"),
    ],
)  # fmt: skip
def test_figures_have_two_that_count(value: float, text: str) -> None:
    assert figure(value) == text


def test_many_variants_are_counted_and_few_are_named() -> None:
    assert [names("abcde"[:count]) for count in (1, 2, 4, 5)] == ["a", "a and b", "a, b, c and d", "5 variants"]


@given(st.integers(0, 10**15))
def test_about_is_never_far_away(number: int) -> None:
    assert abs(about(number) - number) <= number / 20
    assert about(7_543) == 7_500


def test_a_chance_is_never_certain() -> None:
    assert [chance(part) for part in (0.0, 0.001, 0.8341, 0.999, 1.0)] == [
        "< 0.1%",
        "0.1%",
        "83.4%",
        "99.9%",
        "> 99.9%",
    ]
