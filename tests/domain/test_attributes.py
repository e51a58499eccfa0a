import pytest

from abtest.domain.attributes import Attributes, read_attributes


def test_known_attributes_are_kept_by_name() -> None:
    given = [("platform", "ios"), ("country", "DE"), ("app_version", "3.10"), ("shoe_size", "46"), ("", "a")]
    assert read_attributes(given) == Attributes((("app_version", "3.10"), ("country", "DE"), ("platform", "ios")))


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("a" * 128, "a" * 128),
        ("München", "München"),
        ("iOS 18", "iOS 18"),
        ("zero\u200dwidth", "zero\u200dwidth"),
        ("no\u00a0break", "no\u00a0break"),
        ("not assigned yet: \U0003fffd", "not assigned yet: \U0003fffd"),
        ("\ufffd", "\ufffd"),
        ("a\x85b", None),
        ("a\u202eb", None),
        ("\udcff", None),
        (True, "true"),
        (False, "false"),
        ("", None),
        ("a" * 129, None),
        ("a\x00b", None),
        ("a\nb", None),
        ("\ud800", None),
        (None, None),
        ([], None),
        ({"a": 1}, None),
        (7, None),
    ],
)
def test_what_can_not_be_read_is_missing(value: object, kept: str | None) -> None:
    assert dict(read_attributes([("platform", value), ("country", "DE")]).pairs).get("platform") == kept
    assert ("country", "DE") in read_attributes([("platform", value), ("country", "DE")]).pairs


def test_what_is_given_twice_is_missing() -> None:
    assert not read_attributes([("platform", "ios"), ("platform", "ios")])
    assert not read_attributes([("platform", "ios"), ("platform", "")])
    assert not read_attributes([("platform", ""), ("platform", "ios"), ("platform", "ios")])
