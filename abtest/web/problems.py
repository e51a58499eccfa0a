"""The one place that turns errors into HTTP: application/problem+json as in RFC 9457."""

from http import HTTPStatus

import msgspec

from abtest import errors

STATUS: dict[type[errors.AbtestError], int] = {
    errors.InvalidToken: 400,
    errors.InvalidJson: 400,
    errors.InvalidSetting: 422,
    errors.UnknownDevice: 404,
    errors.UnknownExperiment: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedType: 415,
    errors.InvalidEvent: 422,
    errors.InvalidExperiment: 422,
    errors.TooManyDevices: 429,
    errors.Unavailable: 503,
    errors.StorageError: 503,
}
AGAIN = {429, 503}
CONTENT_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True):
    """A problem document; `code` is the stable word that programs test for."""

    type: str
    title: str
    status: int
    detail: str
    code: str

    def json(self) -> bytes:
        """The document as it is sent."""
        return msgspec.json.encode(self)


def problem(status: int, code: str, detail: str) -> Problem:
    """A problem with the standard title of its status."""
    return Problem(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail, code=code)


def described(error: BaseException) -> tuple[Problem, dict[str, str]]:
    """The problem and further headers for an error; nothing of an unexpected one is told."""
    if isinstance(error, errors.AbtestError):
        status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
        detail = "the database can't be used" if isinstance(error, errors.StorageError) else str(error)
        headers = {"Retry-After": str(getattr(error, "retry_after", 5))} if status in AGAIN else {}
        return problem(status, error.code, detail), headers
    return problem(500, "internal_error", "something went wrong here; it was logged"), {}
