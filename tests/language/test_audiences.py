from decimal import Decimal

import pytest
from msgspec import structs

from abtest.domain import parse_audience, parse_condition
from abtest.language import audience_said, left_out, who_takes_part
from tests.management.test_applying import CHECKOUT


def test_an_audience_is_said_in_words() -> None:
    audience = parse_audience(["platform=ios,android", "app_version>=3.10", "country!=US,CA,MX", "os_version<18"])
    assert audience_said(audience) == (
        "platform is ios or android, app_version at least 3.10, country is not US, CA or MX, os_version below 18"
    )


@pytest.mark.parametrize(
    ("condition", "text", "told"),
    [
        ("app_version>=3.10", "3.9.1", "app_version 3.9.1 is below 3.10"),
        ("app_version>3.10", "3.10", "app_version 3.10 is not above 3.10"),
        ("app_version<3.10", "3.10", "app_version 3.10 is not below 3.10"),
        ("app_version<=3.10", "4", "app_version 4 is above 3.10"),
        ("app_version>=3.10", "nightly", "app_version nightly can't be compared with 3.10"),
        ("platform=ios,android", "web", "platform web is not ios or android"),
        ("country!=US,CA", "CA", "country is CA"),
        ("country!=US", None, "country is missing"),
    ],
)
def test_why_a_device_is_left_out(condition: str, text: str | None, told: str) -> None:
    assert left_out(parse_condition(condition), text) == told


def test_who_takes_part_is_said_where_not_every_device_does() -> None:
    assert who_takes_part(CHECKOUT) == "platform is ios or android; coverage 20%"
    grouped = structs.replace(CHECKOUT, audience=(), group="screen", group_share=Decimal("0.6"))
    assert who_takes_part(grouped) == "60% from the group screen; coverage 20%"
    everybody = structs.replace(CHECKOUT, audience=(), phases=(structs.replace(CHECKOUT.phase, coverage=Decimal(1)),))
    assert who_takes_part(everybody) == ""
