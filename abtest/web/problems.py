"""The one place that turns errors into HTTP: application/problem+json as in RFC 9457."""

from http import HTTPStatus

import msgspec

from abtest import errors
from abtest.language import forms

STATUS: dict[type[errors.AbtestError], int] = {
    errors.InvalidToken: 400,
    errors.InvalidJson: 400,
    errors.InvalidSetting: 422,
    errors.NotSignedIn: 401,
    errors.WrongPassword: 401,
    errors.UnknownSignIn: 400,
    errors.NotAdmitted: 403,
    errors.ProviderFailed: 502,
    errors.Forbidden: 403,
    errors.UnknownApp: 404,
    errors.UnknownDevice: 404,
    errors.UnknownExperiment: 404,
    errors.UnknownTestDevice: 404,
    errors.UnknownAccessToken: 404,
    errors.UnknownLink: 404,
    errors.UnknownSharedLink: 404,
    errors.UnknownPerson: 404,
    errors.Conflict: 409,
    errors.ChangedMeanwhile: 412,
    errors.TooLarge: 413,
    errors.UnsupportedType: 415,
    errors.InvalidEvent: 422,
    errors.InvalidExperiment: 422,
    errors.InvalidTestDevice: 422,
    errors.InvalidField: 422,
    errors.PreconditionRequired: 428,
    errors.TooManyAttempts: 429,
    errors.TooManyDevices: 429,
    errors.Unavailable: 503,
    errors.StorageError: 503,
}
WITHHELD: dict[type, str] = {
    errors.StorageError: "the database can't be used",
    errors.UnknownApp: "there is no app with this key",
    errors.UnknownExperiment: "there is no {0.kind} with this key",
    errors.UnknownPerson: "nobody has this name",
}
"""Used instead of messages that contain a path or a part of the request; {0} is the error."""
WAITING = errors.TooManyAttempts | errors.TooManyDevices | errors.Unavailable | errors.StorageError
"""Errors that say when to ask again."""
BY_STATUS = {
    403: ("forbidden", "this page is too old or belongs to another site; load it again"),
    404: ("not_found", "there is nothing at this path"),
    405: ("method_not_allowed", "this path does not take this method"),
}
"""Code and detail for requests that Tornado itself refuses."""
CONTENT_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True):
    """A problem document; `code` is the stable word that programs test for."""

    type: str
    title: str
    status: int
    detail: str
    code: str

    @property
    def heading(self) -> str:
        """The heading of the error page. The title is HTTP's, for programs."""
        return forms.UNAVAILABLE if self.passes else self.title

    @property
    def passes(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status == HTTPStatus.SERVICE_UNAVAILABLE

    def json(self) -> bytes:
        """The document as it is sent."""
        return msgspec.json.encode(self)


def problem(status: int, code: str, detail: str) -> Problem:
    """A problem with the standard title of its status."""
    return Problem(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail, code=code)


def unreadable(status: int = 400) -> Problem:
    """The problem for a request that Tornado itself refuses with this status."""
    return problem(status, *BY_STATUS.get(status, ("bad_request", "this request can't be understood")))


def described(error: BaseException) -> tuple[Problem, dict[str, str]]:
    """The problem and further headers for an error. Nothing about an unexpected error is revealed."""
    if isinstance(error, errors.AbtestError):
        status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
        detail = next((WITHHELD[kind].format(error) for kind in type(error).__mro__ if kind in WITHHELD), str(error))
        headers = {}
        if isinstance(error, WAITING):
            headers["Retry-After"] = str(error.retry_after)
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return problem(status, error.code, detail), headers
    return problem(500, "internal_error", "something went wrong in the server; it was logged"), {}
