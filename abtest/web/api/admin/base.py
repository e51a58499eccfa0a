"""What all handlers of /api/v1/admin have in common."""

from http import HTTPStatus
from typing import Any, TypeVar

import msgspec

from abtest.domain import finding, read_json
from abtest.errors import InvalidField, InvalidJson
from abtest.web.base import Handler
from abtest.web.reading import header, require_json

LONGEST_PROBLEM = 200

T = TypeVar("T")


class AdminHandler(Handler):
    """Reads JSON and answers with it. Nothing that it says may be kept by a cache."""

    def read(self, type: type[T]) -> T:
        """The body. `type`: a Struct with `forbid_unknown_fields`, or dict.

        Raises UnsupportedType, InvalidJson, or InvalidField, which names the field.
        """
        require_json(header(self.request.headers, "Content-Type"))
        try:
            return msgspec.convert(read_json(self.request.body), type)
        except msgspec.ValidationError as error:
            place, what = finding(error, {})
            raise InvalidField(what[:LONGEST_PROBLEM], field=place or "body") from None
        except ValueError as error:
            raise InvalidJson(f"the body must be JSON: {error}") from None

    def answer(self, document: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Finish with this document."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "private, no-store")
        self.finish(msgspec.json.encode(document))
