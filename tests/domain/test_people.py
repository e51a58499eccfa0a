"""Names, roles and expiry."""

import pytest

from abtest import clock
from abtest.domain import AccessToken, Person, Role, check_name, check_password, folded, may, parse_expiry
from abtest.errors import InvalidField

NOON = 1_796_040_000_000  # 2026-11-30T12:00:00Z


@pytest.mark.parametrize("name", ["a", "anna@example.com", "Ben Olsen", "Анна", "李", "a" * 64, "o'Neil; --", "<b>"])
def test_a_name_is_up_to_64_printable_characters(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", " ", " anna", "anna ", "a" * 65, "an\nna", "an\x00na", "an\x1b[2Jna", "\udcff", "\u202eanna",
        "an\u2066na", "an\u200bna", "an\u200dna", "an\u2028na", "an\u00a0na", "anna\ufeff",
        "an\u00adna", "\ue000", "an\U000e0061na",
    ],
)  # fmt: skip
def test_what_cannot_be_seen_is_no_name(name: str) -> None:
    with pytest.raises(InvalidField, match=r"^name: must"):
        check_name(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Anna", "ANNA"), ("straße", "STRASSE"), ("Zoe\u0308", "Zoë"), ("\uff41nna", "anna"), ("ǅ", "ǆ")],
)
def test_names_that_differ_only_in_case_or_form_are_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other) == folded(folded(one))


def test_a_password_is_at_least_12_characters_of_any_kind() -> None:
    assert check_password("            ") == " " * 12
    assert check_password("ключ от дома")
    with pytest.raises(InvalidField, match=r"^password: must have at least 12 characters$"):
        check_password("x" * 11)


@pytest.mark.parametrize("app", [None, "staging"])
def test_a_role_allows_what_lesser_roles_do_in_its_app(app: str | None) -> None:
    editor = Person("anna", Role.EDITOR, app, 0, has_password=True)
    token = AccessToken(1, "ci", Role.EDITOR, app, 0, None, None)
    for who in (editor, token):
        assert [may(who, role, "staging") for role in Role] == [True, True, False]
        assert may(who, Role.VIEWER, "other") is (app is None)
        assert may(who, Role.VIEWER, None) is (app is None)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-30", "2026-11-30T23:59:59Z"),
        ("9999-12-31", "9999-12-31T23:59:59Z"),
        ("2026-11-30T13:00:00+00:30", "2026-11-30T12:30:00Z"),
    ],
)
def test_a_date_is_the_last_day_and_a_time_itself(text: str, at: str) -> None:
    assert clock.iso(parse_expiry(text, NOON)) == at


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "2026-11-30T12:00", "30.11.2026", "\udcff", "+026-11-30"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidField, match=r"^expires: must be a date such as"):
        parse_expiry(text, NOON)


@pytest.mark.parametrize("text", ["2026-11-29", "2026-11-30T12:00:00Z"])
def test_nothing_expires_before_it_begins(text: str) -> None:
    with pytest.raises(InvalidField, match=r"^expires: has passed already$"):
        parse_expiry(text, NOON)
