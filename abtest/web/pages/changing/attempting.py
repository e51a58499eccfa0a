"""A page with a form: what was refused is said beside what was typed."""

from collections.abc import Awaitable
from typing import Any

from abtest.domain import PROGRAM, By, Entry, path_of
from abtest.errors import (
    AbtestError,
    ChangedMeanwhile,
    Conflict,
    InvalidExperiment,
    InvalidField,
    InvalidTestDevice,
    InvalidToken,
    Unavailable,
    UnknownTestDevice,
)
from abtest.language import forms
from abtest.web.base import PageHandler, whole
from abtest.web.pages.telling import told

REFUSED = (
    *(ChangedMeanwhile, Conflict, InvalidExperiment, InvalidField, InvalidTestDevice, InvalidToken),
    *(Unavailable, UnknownTestDevice),
)


def newest(entries: list[Entry]) -> int:
    """What a form sends back as the newest change that it has seen."""
    return entries[0].id if entries else 0


def since(entries: list[Entry], seen: str) -> list[Entry]:
    """Those after the one that a form has seen; none if that can't be read."""
    last = whole(seen)
    return [each for each in entries if last is not None and each.id > last]


class AttemptPage(PageHandler):
    """Shows its template, and tries what its form asks for."""

    caching = "no-store"
    template: str

    @property
    def by(self) -> By:
        """Who changes something; somebody who has not signed in can't."""
        return self.caller.by if self.caller.who else PROGRAM

    async def about(self, *keys: str) -> dict[str, Any]:
        """What the page shows. `keys`: what stands in the path.

        May contain `impossible`: why it can't be done as things are, or None; `seen` and `changes`: what `newest` and
        `since` give; and `labels`, in the place of forms.LABELS.
        """
        raise NotImplementedError

    async def get(self, *keys: str) -> None:
        await self.show(*keys)

    head = get

    async def attempt(self, what: Awaitable[object], keys: tuple[str, ...], to: str, did: str) -> None:
        """Do it and go on to this path of the app, or say why it was refused."""
        try:
            await what
        except REFUSED as error:
            await self.show(*keys, error=error)
        else:
            self.see_other(path_of(self.app) + to, did)

    def entered(self, name: str, default: str = "") -> str:
        """What was typed into a field."""
        return self.get_body_argument(name, default)

    async def show(self, *keys: str, error: AbtestError | None = None, **others: Any) -> None:
        """Finish with the page. `others`: what it shows instead of what is in `about`."""
        about = (
            {"impossible": None, "changes": [], "seen": None, "labels": forms.LABELS}
            | await self.about(*keys)
            | others
        )
        if not isinstance(error, ChangedMeanwhile):
            about["changes"] = []
        error = error or about["impossible"]
        message = told(self.refuse(error), error, about["labels"]) if error else ""
        wrong = error.field if error else None
        self.page(self.template, page="", message=message, wrong=wrong, entered=self.entered, **about)
