"""What all handlers of /api/v1/admin have in common."""

import json
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, structs

from abtest.domain import finding, path_of, read_json, text_fault
from abtest.errors import AbtestError, InvalidField, InvalidJson
from abtest.web.base import Handler
from abtest.web.problems import Problem
from abtest.web.reading import require_json

LONGEST_PROBLEM = 200
ADMIN_PATH = "/api/v1/admin"

T = TypeVar("T")


class Nothing(Struct, forbid_unknown_fields=True):
    """A body without fields."""


class AdminHandler(Handler):
    """Reads JSON, and answers with JSON that no cache may keep."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # Otherwise Tornado would parse a form before it can be refused.
        self._content_type = ",".join(self.request.headers.get_list("Content-Type"))
        self.request.headers.pop("Content-Type", None)

    def read(self, type: type[T]) -> T:
        """The body. `type`: a Struct with `forbid_unknown_fields`, or dict.

        Raises UnsupportedType, InvalidJson, or InvalidField, which names the field.
        """
        require_json(self._content_type)
        try:
            document = read_json(self.request.body)
            json.dumps(document, ensure_ascii=False, default=str).encode()  # half of a surrogate pair can't
        except (ValueError, RecursionError) as error:
            what = "it is not UTF-8" if isinstance(error, UnicodeEncodeError) else error
            raise InvalidJson(f"the body must be JSON: {what}") from None
        try:
            return msgspec.convert(document, type)
        except msgspec.ValidationError as error:
            place, what = finding(error, {})
            raise InvalidField(what, field=place or "body") from None

    def read_or(self, default: T) -> T:
        """The body, read as the type of `default`; without a body, `default`. Raises what `read` raises."""
        return self.read(type(default)) if self.request.body else default

    def answer(self, document: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Finish with this document."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "private, no-store")
        self.finish(msgspec.json.encode(document))

    def created(self, path: str, document: Any) -> None:
        """Finish with what was created. `path`: where it is, below ADMIN_PATH of its app if it is in one."""
        self.set_header("Location", f"{self.settings['base_path']}{path_of(self.app)}{ADMIN_PATH}/{path}")
        self.answer(document, HTTPStatus.CREATED)

    def refuse(self, error: BaseException) -> Problem:
        """The problem, which names a field as it was sent."""
        problem = super().refuse(error)
        if isinstance(error, AbtestError) and error.field is not None:
            field = "body" if text_fault(error.field) else error.field
            problem = structs.replace(problem, detail=f"{field}: {error.reason}"[:LONGEST_PROBLEM])
        return problem
