"""Conditions on attributes: who fulfils them, and which are refused."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtest.domain import read_attributes
from abtest.domain.audience import Audience, failed, parse_audience, parse_condition, version
from abtest.errors import InvalidExperiment

ASCENDING = (
    "3.9",
    "3.9.1",
    "3.10.0-alpha",
    "3.10.0-beta.1",
    "3.10.0-beta.2",
    "3.10.0-rc1",
    "3.10",
    "3.10.1",
    "4",
    "30",
)
PARTS = st.lists(st.integers(0, 12), min_size=1, max_size=4)


def fulfils(conditions: str | Audience, **attributes: str) -> bool:
    audience = parse_audience(conditions.split()) if isinstance(conditions, str) else conditions
    return not failed(audience, read_attributes(attributes.items()))


def test_versions_compare_part_by_part_as_numbers() -> None:
    for low, high in pairwise(ASCENDING):
        for condition in (f"app_version<{high}", f"app_version<={high}", f"app_version!={high}"):
            assert fulfils(condition, app_version=low), (low, condition)
        for condition in (f"app_version>{high}", f"app_version>={high}", f"app_version={high}"):
            assert not fulfils(condition, app_version=low), (low, condition)


@pytest.mark.parametrize("text", ["3.10", "3.10.0", "v3.10.0", "3.10.0 (1234)", "3.10.0+456", "03.10", "3.10.0.0"])
def test_the_same_version_may_be_written_in_several_ways(text: str) -> None:
    assert fulfils("app_version=3.10 app_version>=3.10 app_version<=3.10", app_version=text)
    assert not fulfils("app_version!=3.10", app_version=text)
    assert not fulfils("app_version<3.10", app_version=text)


@given(PARTS, PARTS)
def test_order_is_that_of_the_numbers(mine: list[int], wanted: list[int]) -> None:
    text, value = ".".join(map(str, mine)), ".".join(map(str, wanted))
    longest = max(len(mine), len(wanted))
    first, second = ([*parts, *[0] * (longest - len(parts))] for parts in (mine, wanted))
    assert fulfils(f"app_version<{value}", app_version=text) is (first < second)
    assert fulfils(f"app_version>={value}", app_version=text) is (first >= second)
    assert fulfils(f"app_version={value}", app_version=text) is (first == second)


@pytest.mark.parametrize(
    "condition", ["country=US", "country!=US", "country=US,DE", "app_version!=3", "app_version<3"]
)
def test_a_missing_attribute_fulfils_no_condition(condition: str) -> None:
    assert not fulfils(condition, platform="ios")
    assert not fulfils(condition)


@pytest.mark.parametrize("sign", ["=", "!=", "<", "<=", ">", ">="])
def test_what_is_no_version_can_not_be_compared_with_one(sign: str) -> None:
    assert version("nightly") is None
    assert not fulfils(f"app_version{sign}3.10", app_version="nightly")


def test_texts_are_compared_as_they_are() -> None:
    assert fulfils("platform=ios,android country!=US,CA", platform="android", country="DE")
    assert not fulfils("platform=ios,android", platform="Android")
    assert not fulfils("country!=US,CA", country="CA")
    assert fulfils("country!=US", country="17")
    assert fulfils("platform!=3,debug", platform="4")
    assert not fulfils("platform!=3,debug", platform="debug")


def test_all_conditions_must_be_fulfilled() -> None:
    audience = parse_audience(["platform=ios", "app_version>=3.10", "app_version<4"])
    assert failed(audience, read_attributes([("platform", "ios"), ("app_version", "3.11")])) == ()
    assert failed(audience, read_attributes([("platform", "android"), ("app_version", "4.0")])) == (0, 2)
    assert failed(audience, read_attributes([])) == (0, 1, 2)


def test_a_condition_is_written_as_it_was_read() -> None:
    assert [str(parse_condition(text)) for text in ("platform=ios,android", "app_version >= 3.10 ")] == [
        "platform=ios,android",
        "app_version>=3.10",
    ]


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        (["platform"], "'platform' must be ATTRIBUTE OPERATOR VALUES"),
        ([""], "must be ATTRIBUTE OPERATOR VALUES"),
        (["platform==ios"], "'==' is not an operator; use one of = != < <= > >="),
        (["app_version=>3"], "'=>' is not an operator"),
        (["app_version~3"], "'~' is not an operator"),
        (["plattform=ios"], "the attribute 'plattform' is unknown; did you mean platform"),
        (["version>=3"], "did you mean os_version|did you mean app_version"),
        (["=ios"], "the attribute '' is unknown"),
        (["platform="], "a value must have 1 to 128 printable characters"),
        (["platform=ios,,android"], "a value must have 1 to 128"),
        (["platform=" + "a" * 129], "a value must have 1 to 128"),
        (["platform=io\ts"], "printable"),
        (["country=" + ",".join(f"c{n}" for n in range(251))], "at most 250 values, not 251"),
        (["country=DE"] * 21, "at most 20 conditions, not 21"),
        (["app_version>=3,4"], ">= takes one number or version"),
        (["app_version>latest"], "> takes one number or version"),
        (["platform=ios", "platform=android"], "no device can fulfil platform=ios and platform=android"),
        (["app_version>=4", "app_version<3"], "no device can fulfil app_version>=4 and app_version<3"),
        (["app_version>4", "app_version<=4.0"], "no device can fulfil"),
        (["app_version>=4", "app_version<=4.0", "app_version!=4"], "no device can fulfil"),
        (
            ["country=DE,FR", "platform=ios", "country!=FR,DE"],
            "no device can fulfil country=DE,FR and country!=FR,DE",
        ),
        (["app_version=3.9,4.1", "app_version>=3.10", "app_version<4"], "no device can fulfil"),
    ],
)
def test_what_no_device_could_fulfil_or_nobody_can_read_is_refused(conditions: list[str], words: str) -> None:
    with pytest.raises(InvalidExperiment, match="audience: ") as refused:
        parse_audience(conditions)
    assert any(word in str(refused.value) for word in words.split("|"))


@pytest.mark.parametrize(
    "conditions",
    [
        ["app_version>=4", "app_version<=4.0"],
        ["app_version>3.9", "app_version<3.10"],
        ["platform!=ios", "platform!=android"],
        ["country=DE,FR", "country!=FR"],
        ["app_version=3.9,4.1", "app_version>=3.10"],
        ["app_version>3", "app_version!=4", "app_version<5"],
    ],
)
def test_what_some_device_can_fulfil_is_accepted(conditions: list[str]) -> None:
    assert [str(condition) for condition in parse_audience(conditions)] == conditions
