"""The made-up devices of a simulation."""

from collections import Counter
from itertools import islice

import pytest

from abtest.domain import KNOWN_ATTRIBUTES, Attributes, failed, parse_audience, read_attributes
from abtest.results.mix import devices


def first(number: int, *audience: str) -> list[Attributes]:
    return list(islice(devices([parse_audience(audience)]), number))


def test_the_same_devices_come_each_time_and_say_what_a_device_can_say() -> None:
    made_up = first(600)
    assert made_up == first(600)
    assert all(read_attributes(each.pairs) == each for each in made_up)


def test_most_devices_say_everything_and_some_leave_out_one_attribute_or_all() -> None:
    told = Counter(len(each.pairs) for each in first(2000))
    assert told == {len(KNOWN_ATTRIBUTES): 1600, len(KNOWN_ATTRIBUTES) - 1: 300, 0: 100}


def test_versions_of_a_system_and_languages_belong_together() -> None:
    said = [dict(each.pairs) for each in first(600)]
    assert {each.get("language") for each in said if each.get("country") == "JP"} == {"ja", None}
    systems = {
        name: {each.get("os_version") for each in said if each.get("platform") == name} for name in ("ios", "android")
    }
    assert systems["ios"] & systems["android"] == {None}


@pytest.mark.parametrize(
    "audience",
    [
        ["country=AT"],
        ["country=de", "language=fi", "platform=windows"],
        ["platform!=ios,android,web"],
        ["app_version>=26.3", "platform=ios"],
        ["app_version>3.10.0"],
        ["app_version>3", "app_version<3.1"],
        ["app_version<2"],
        ["os_version<=4.4", "language!=en"],
        ["os_version!=15", "os_version>15.0-beta"],
        ["language=1"],
    ],
)
def test_no_audience_is_empty_because_the_mix_does_not_know_its_values(audience: list[str]) -> None:
    inside = sum(not failed(parse_audience(audience), each) for each in first(600, *audience))
    assert 0 < inside < 600


def test_what_one_audience_names_leaves_most_devices_as_they_are() -> None:
    countries = Counter(dict(each.pairs).get("country") for each in first(1000, "country=AT,CH"))
    assert countries["AT"] == countries["CH"]
    assert 150 < countries["AT"] + countries["CH"] < 200
    assert countries["US"] > countries["AT"]
