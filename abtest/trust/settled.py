"""Compares what people decided about experiments with what the journal says that they did."""

from collections.abc import Iterator, Mapping
from typing import Any

from abtest.domain import DEFAULT_APP, Entry, Facts, Kind

Where = tuple[str, str, str]
"""App, kind and key."""


class Decisions:
    """What the journal says, entry by entry. Of things older than the journal, it knows only what was changed."""

    def __init__(self) -> None:
        self._said: dict[Where, dict[str, Any]] = {}
        self._added: set[Where] = set()

    def take(self, entry: Entry) -> None:
        """Note what an entry changed."""
        kind, _, done = entry.action.partition(".")
        if kind not in set(Kind) or entry.app is None:
            return
        where = entry.app, kind, entry.subject
        self._said.setdefault(where, {}).update(entry.after_facts)
        if done == "add":
            self._added.add(where)

    def differences(self, stored: Mapping[Where, Facts | None]) -> Iterator[str]:
        """Where what is stored differs from what people decided."""
        for where in sorted(self._added - stored.keys()):
            yield f"{_named(where)}: is missing, although the journal says that it was added"
        for where, facts in stored.items():
            if facts is None:
                yield f"{_named(where)}: what people decided about it can't be read"
                continue
            said = self._said.get(where, {})
            for field, fact in facts.items():
                if field not in said and where not in self._added:
                    continue
                decided = said.get(field) or "none"
                if (fact or "none") != decided:
                    yield f"{_named(where)}: {field} is {fact or 'none'}, but the journal says {decided}"


def _named(where: Where) -> str:
    app, kind, key = where
    return f"{kind} {key}" if app == DEFAULT_APP else f"{kind} {app}/{key}"
