import pytest

from abtest.domain import parse_audience, parse_condition
from abtest.language import audience_said, left_out


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
