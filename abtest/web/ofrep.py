"""The OpenFeature Remote Evaluation Protocol 0.3: one flag, or all flags of a device.

https://github.com/open-feature/protocol. Clients read strictly, some of them more strictly than the protocol: an
answer has all of the fields here and no others.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Raw, Struct
from tornado.httputil import HTTPHeaders

from abtest.domain import Attributes, read_attributes, read_json, typed
from abtest.enrolment import Answer
from abtest.errors import InvalidContext, InvalidJson, UnknownExperiment
from abtest.store import Delivered
from abtest.web.problems import Problem
from abtest.web.reading import require_json
from abtest.web.ways import Response

FLAGS = "/ofrep/v1/evaluate/flags"
JSON = {"Content-Type": "application/json"}
ERRORS = {
    "invalid_json": "PARSE_ERROR",
    "targeting_key_missing": "TARGETING_KEY_MISSING",
    "invalid_context": "INVALID_CONTEXT",
    "invalid_token": "INVALID_CONTEXT",
    "unknown_experiment": "FLAG_NOT_FOUND",
}
"""OpenFeature's error codes for ours; every other one is GENERAL."""


class _Context(Struct):
    targetingKey: str  # noqa: N815  # as the protocol spells it


class _Request(Struct):
    context: _Context


class _Simple(Struct):
    """A request without numbers, and with nothing nested in its context."""

    context: dict[str, str | bool | None]


class _Split(Struct, frozen=True):
    """A flag with a value."""

    key: str
    value: Raw
    reason: str
    variant: str


class _Failure(Struct, frozen=True, omit_defaults=True, rename="camel"):
    error_code: str
    error_details: str
    key: str | None = None


class _Flags:
    """What both ways have in common: the context in the body names the device."""

    methods = frozenset({"POST"})
    key: str | None = None

    def token(self, headers: HTTPHeaders, body: bytes) -> str:
        """The targeting key. Raises UnsupportedType, InvalidJson or InvalidContext."""
        require_json(headers.get("Content-Type", ""))
        token = _targeting_key(body)
        given = headers.get_list("Device-Token")
        if given and given != [token]:
            raise InvalidContext("the header Device-Token differs from context.targetingKey")
        return token

    def attributes(self, query: str, body: bytes) -> Attributes:
        """The other members of the context. Raises InvalidJson or InvalidContext."""
        return read_attributes(_context(body).items())

    def refusal(self, problem: Problem, headers: dict[str, str]) -> Response:
        """A failure, with the key if one flag was asked for."""
        headers = JSON | {"Cache-Control": "no-store"} | headers
        return Response(HTTPStatus(problem.status), headers, failure(problem, self.key))


class Bulk(_Flags):
    """`POST /ofrep/v1/evaluate/flags`: all flags that a device has."""

    name = "/"
    shared = False

    def etag(self, answer: Answer, token: str) -> str:
        """It depends on the token, because clients keep their ETag when their context changes."""
        return f'{answer.etag[:-1]}-{crc32(token.encode()):08x}"'

    def response(self, answer: Answer, etag: str | None) -> Response:
        """The flags, keys in ascending order."""
        assert etag
        headers = JSON | {"Cache-Control": "private, no-cache", "ETag": etag}
        body = msgspec.json.encode({"flags": [_split(each) for each in answer.delivered]})
        return Response(HTTPStatus.OK, headers, body)


class Single(_Flags):
    """`POST /ofrep/v1/evaluate/flags/{key}`: one flag. It has no ETag, so there is no 304 either."""

    shared = True

    def __init__(self, key: str) -> None:
        self.name = self.key = key

    def token(self, headers: HTTPHeaders, body: bytes) -> str:
        """The targeting key. Raises UnknownExperiment if no flag can have this key, and as above."""
        if not self.name or "/" in self.name:
            raise UnknownExperiment(self.name)
        return super().token(headers, body)

    def etag(self, answer: Answer, token: str) -> None:
        """None."""

    def response(self, answer: Answer, etag: str | None) -> Response:
        """The flag. It has no value if the device has none: the client then uses the default of the code.

        Raises UnknownExperiment.
        """
        return Response(HTTPStatus.OK, JSON | {"Cache-Control": "private, no-cache"}, self._flag(answer))

    def _flag(self, answer: Answer) -> bytes:
        for each in answer.delivered:
            if each.key == self.name:
                return msgspec.json.encode(msgspec.structs.asdict(_split(each)) | {"metadata": {}})
        if self.name not in answer.keys:
            raise UnknownExperiment(self.name)
        return msgspec.json.encode({"key": self.name, "reason": "DEFAULT", "variant": ""})


BULK = Bulk()


def asked(path: str) -> Bulk | Single | None:
    """The way of asking at this path, with or without a slash at its end; None if it is no path of flags."""
    if path in {FLAGS, f"{FLAGS}/"}:
        return BULK
    return Single(path[len(FLAGS) + 1 :].removesuffix("/")) if path.startswith(f"{FLAGS}/") else None


def failure(problem: Problem, key: str | None = None) -> bytes:
    """A problem in the protocol's own shape."""
    return msgspec.json.encode(_Failure(ERRORS.get(problem.code, "GENERAL"), problem.detail, key))


def _split(delivered: Delivered) -> _Split:
    value = Raw(typed(delivered.type, delivered.value))
    return _Split(delivered.key, value, "SPLIT", delivered.value)


_decode = msgspec.json.Decoder(_Request).decode
_decode_simple = msgspec.json.Decoder(_Simple).decode


def _targeting_key(body: bytes) -> str:
    """The targeting key of a request. Raises InvalidJson or InvalidContext."""
    if body.count(b"targetingKey") == 1 and body.count(b'"context"') == 1 and b"\\" not in body:
        try:
            return _decode(body).context.targetingKey or _missing()
        except (msgspec.DecodeError, RecursionError):
            pass  # read once more, to say what is wrong
    context = _context(body)
    key = context.get("targetingKey")
    if key is None or key == "":
        return _missing()
    if not isinstance(key, str) or isinstance(key, _Number):
        raise InvalidContext("context.targetingKey must be a string, given once")
    return key


def _context(body: bytes) -> dict[str, Any]:
    """The context of a request. A member that is given twice is kept without its value. Raises as above.

    Characters that JSON does not allow in a text are no error: no device is refused for an attribute.
    """
    return _simple(body) or _any_context(body)


def _simple(body: bytes) -> dict[str, Any] | None:
    """The context, if a quicker decoder reads it correctly; else None.

    That decoder takes the last of two equal names, and skips what it does not know. In both cases the body has more
    quotes than stand around the texts that it returned.
    """
    try:
        context = _decode_simple(body).context
    except (msgspec.DecodeError, RecursionError):
        return None
    texts = 1 + len(context) + sum(type(value) is str for value in context.values())
    return context if body.count(b'"') == 2 * texts else None


def _any_context(body: bytes) -> dict[str, Any]:
    try:
        document = read_json(body, _members, _Number, lenient=True)
    except ValueError as error:
        raise InvalidJson(f"the body must be JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidContext("the body must be an object with a context")
    context = document.get("context", {})
    if not isinstance(context, dict):
        raise InvalidContext("context must be an object, given once")
    return context


TWICE = object()


class _Number(str):
    """A number, as it was written."""

    __slots__ = ()


def _members(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        members[name] = TWICE if name in members else value
    return members


def _missing() -> str:
    raise InvalidContext("context.targetingKey is missing: it is the device's token", code="targeting_key_missing")
