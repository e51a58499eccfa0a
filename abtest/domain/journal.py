"""The journal: every change, who made it, and what was there before and after. Hashes chain its entries."""

import json
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Any

from msgspec import Struct

from abtest import clock
from abtest.domain.experiments import Experiment, Kind
from abtest.domain.groups import HELD_PLACE, percent
from abtest.domain.people import By

Facts = Mapping[str, Any]
"""Names of fields with their contents, as in JSON."""
NOTHING: Facts = {}


class Action(StrEnum):
    """What was done."""

    ADD_EXPERIMENT = "experiment.add"
    CHANGE_EXPERIMENT = "experiment.change"
    ADD_GROUP = "group.add"
    CHANGE_GROUP = "group.change"
    ADD_HOLDOUT = "holdout.add"
    CHANGE_HOLDOUT = "holdout.change"
    ADD_TEST_DEVICE = "test_device.add"
    CHANGE_TEST_DEVICE = "test_device.change"
    REMOVE_TEST_DEVICE = "test_device.remove"
    ADD_APP = "app.add"
    ADD_PERSON = "person.add"
    CHANGE_PERSON = "person.change"
    LINK_PERSON = "person.link"
    SET_PASSWORD = "person.password"
    END_SESSIONS = "session.end"
    CONNECT_PERSON = "person.connect"
    DISCONNECT_PERSON = "person.disconnect"
    REMOVE_PERSON = "person.remove"
    ADD_ACCESS_TOKEN = "access_token.add"
    REVOKE_ACCESS_TOKEN = "access_token.revoke"
    ADD_SHARED_LINK = "shared_link.add"
    REVOKE_SHARED_LINK = "shared_link.revoke"
    FORGET_DEVICE = "device.forget"
    EXPORT_TOKENS = "device.export"
    RESTORE = "database.restore"
    ACCEPT_LOSS = "database.accept_loss"


class Sought(Struct, frozen=True):
    """Which entries to look for: those that meet every condition given.

    `app`: the change was made in this app. `by`: this text is part of what people read about who made the change.
    `about`: the experiment, group, holdout or app has this key, or the person or access token this name. `since`: not
    before this time, in milliseconds since 1970-01-01 UTC. `before`: older than the entry with this id.
    """

    app: str | None = None
    by: str | None = None
    about: str | None = None
    since: int | None = None
    before: int | None = None


class Entry(Struct, frozen=True):
    """An entry as it is stored. `at` in milliseconds. `action`: an Action. `before`, `after`: what differs, as JSON.

    `app`: a key, None if the change is in no app. `subject`: the key or name of what was changed, "" if it has none.
    """

    id: int
    at: int
    by: By
    app: str | None
    action: str
    subject: str
    before: str
    after: str
    hash: str

    @property
    def before_facts(self) -> Facts:
        """What was there before; empty if it can't be read."""
        return _read(self.before)

    @property
    def after_facts(self) -> Facts:
        """What was there afterwards; empty if it can't be read."""
        return _read(self.after)

    def fits(self, previous: str) -> bool:
        """Whether its hash is right after an entry with the hash `previous`."""
        return self.hash == chained(previous, self)


def chained(previous: str, entry: Entry) -> str:
    """The hash of an entry after one with the hash `previous`: SHA-256 of this and its fields, as a JSON list."""
    by = entry.by
    fields = (entry.id, entry.at, by.kind, by.name, by.address, entry.app, entry.action, entry.subject)
    return sha256(json.dumps([previous, *fields, entry.before, entry.after]).encode()).hexdigest()


def differing(before: Facts, after: Facts) -> tuple[Facts, Facts]:
    """The fields that differ, before and after; both must have the same fields."""
    names = [name for name in after if before[name] != after[name]]
    return {name: before[name] for name in names}, {name: after[name] for name in names}


def given(facts: Facts) -> Facts:
    """The facts that are not empty."""
    return {name: fact for name, fact in facts.items() if fact not in (None, "", [])}


def written(facts: Facts) -> str:
    """Facts as an entry keeps them."""
    return json.dumps(facts, separators=(",", ":"))


def _read(text: str) -> Facts:
    try:
        found = json.loads(text)
    except ValueError:
        return NOTHING
    return found if isinstance(found, dict) else NOTHING


def revision(experiment: Experiment) -> str:
    """Identifies what people decided about it: it changes with each decision, and never because a device came."""
    return sha256(written({"id": experiment.id, **facts(experiment)}).encode()).hexdigest()[:32]


def facts(experiment: Experiment) -> Facts:
    """What people decided about an experiment, a group or a holdout."""
    metrics = [str(metric) for metric in experiment.metrics]
    if experiment.kind is Kind.GROUP:
        return {"description": experiment.description}
    phase = experiment.phase
    weights = dict(zip(experiment.values, (f"{weight:f}" for weight in phase.weights), strict=True))
    if experiment.kind is Kind.HOLDOUT:
        return {
            "status": experiment.holdout_status,
            "description": experiment.description,
            "share": percent(phase.weights[HELD_PLACE] / 100),
            "metrics": metrics,
        }
    start, end = experiment.start_at, experiment.end_at
    return {
        "status": experiment.status.value,
        "winner": experiment.winner,
        "because": experiment.because,
        "description": experiment.description,
        "type": experiment.type.value,
        "phase": phase.number,
        "weights": weights,
        "coverage": percent(phase.coverage),
        "stop_at": phase.stop_at,
        "audience": [str(condition) for condition in experiment.audience],
        "group": experiment.group,
        "group_share": None if experiment.group_share is None else percent(experiment.group_share),
        "start_at": clock.iso_or_none(start),
        "end_at": clock.iso_or_none(end),
        "metrics": metrics,
        "baseline": experiment.values[experiment.baseline_place],
        "planned": experiment.planned,
    }
