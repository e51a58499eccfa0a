"""What errors become in HTTP. Every one has a status, unless only commands can meet it."""

import pytest

from abtest import errors
from abtest.errors import AbtestError
from abtest.web.problems import STATUS, described

OF_COMMANDS = {errors.Unreachable, errors.CannotStart}


def kinds(kind: type[AbtestError]) -> list[type[AbtestError]]:
    return [each for below in kind.__subclasses__() for each in (below, *kinds(below))]


@pytest.mark.parametrize("kind", kinds(AbtestError), ids=lambda kind: kind.__name__)
def test_an_error_has_a_status(kind: type[AbtestError]) -> None:
    assert any(each in STATUS for each in kind.__mro__) is (kind not in OF_COMMANDS)


@pytest.mark.parametrize(
    ("error", "status", "code", "headers"),
    [
        (errors.NotSignedIn(), 401, "not_signed_in", {"WWW-Authenticate": "Bearer"}),
        (errors.WrongPassword(), 401, "wrong_password", {"WWW-Authenticate": "Bearer"}),
        (errors.UnknownPerson("anna"), 404, "unknown_person", {}),
        (errors.UnknownLink(), 404, "unknown_link", {}),
        (errors.UnknownAccessToken(7), 404, "unknown_access_token", {}),
        (errors.Conflict("anna is the last admin", "last_admin"), 409, "last_admin", {}),
        (errors.InvalidField("must have 1 to 64 characters", field="name"), 422, "invalid_field", {}),
        (errors.TooManyAttempts(30), 429, "too_many_attempts", {"Retry-After": "30"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_who_may_not_come_in_gets_a_problem(
    error: errors.AbtestError, status: int, code: str, headers: dict[str, str]
) -> None:
    problem, found = described(error)
    assert (problem.status, problem.code, found) == (status, code, headers)


def test_an_unknown_name_is_not_repeated() -> None:
    assert "anna" not in described(errors.UnknownPerson("anna"))[0].detail
