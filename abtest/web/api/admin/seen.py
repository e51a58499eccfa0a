"""Changes only of what nobody has changed since it was read: ETag, If-Match (RFC 9110, 13.1.1)."""

import re
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from msgspec import Raw

from abtest.domain import Experiment, revision
from abtest.web.access import SAFE_METHODS
from abtest.web.api.admin.base import AdminHandler
from abtest.web.reading import header
from abtest.web.services import ChangingSeen

TAG = re.compile('"([0-9a-f]{32})-[0-9a-f]{8}"')
"""The revision, and a hash of the document: new devices change the document but not the revision."""
NEVER = ""
"""The revision of nothing."""


class Reading(Protocol):
    """A service of experiments, or of what is kept like them."""

    async def one(self, key: str) -> Experiment:
        """The one with this key. Raises UnknownExperiment."""
        ...


S = TypeVar("S", bound=Reading)


class SeenHandler(AdminHandler, Generic[S]):
    """Answers with an experiment, or what is kept like one, and its ETag."""

    tag: str | None = None

    def initialize(self, services: ChangingSeen[S]) -> None:
        self._services = services

    @property
    def service(self) -> S:
        """Changes it, whatever it is by now."""
        return self._services(self.app, by=self.caller.by)

    async def seen(self, key: str) -> S:
        """Changes the one with this key only if If-Match names its revision. Raises UnknownExperiment."""
        tags = header(self.request.headers, "If-Match").strip()
        if tags in {"", "*"}:
            return self.service
        named = [match[1] for each in tags.split(",") if (match := TAG.fullmatch(each.strip()))]
        present = revision(await self.service.one(key))
        return self._services(self.app, present if present in named else NEVER, by=self.caller.by)

    def tell(self, what: Experiment, document: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        """Finish with this document of it, and with its path if it was created."""
        body = msgspec.json.encode(document)
        self.tag = f'"{revision(what)}-{sha256(body).hexdigest()[:8]}"'
        if self.request.method not in SAFE_METHODS:
            self.set_header("ETag", self.tag)
        if status is HTTPStatus.CREATED:
            self.created(f"{what.kind}s/{what.key}", Raw(body))
        else:
            self.answer(Raw(body), status)

    def compute_etag(self) -> str | None:
        return self.tag or super().compute_etag()
