"""What people made and did, as JSON: the same at the command line and over HTTP."""

from collections.abc import Iterable
from typing import Any

from abtest import clock
from abtest.domain import (
    HELD_PLACE,
    AccessToken,
    App,
    By,
    Entry,
    Experiment,
    Person,
    Session,
    SharedLink,
    TestDevice,
    members,
)
from abtest.language import coverage_said, csv_lines, entry_said, harmless, schedule_said

ENTRY_COLUMNS = (
    *("id", "at", "by_kind", "by_name", "by_address", "app", "action", "subject", "before", "after", "said", "hash"),
)


def described(experiment: Experiment) -> dict[str, Any]:
    """An experiment as JSON."""
    return {
        "key": experiment.key,
        "status": experiment.status,
        "description": experiment.description,
        "created_at": clock.iso(experiment.created_at),
        "created_after_device": experiment.created_after_device,
        "metrics": [str(metric) for metric in experiment.metrics],
        "baseline": experiment.values[experiment.baseline_place],
        "planned": experiment.planned,
        "winner": experiment.winner,
        "because": experiment.because,
        "decided_at": clock.iso_or_none(experiment.decided_at),
        "decided_by": None if experiment.decided_by is None else _described_by(experiment.decided_by),
        "type": experiment.type,
        "audience": [str(condition) for condition in experiment.audience],
        "coverage": coverage_said(experiment.phase.coverage),
        "group": experiment.group,
        "group_share": None if experiment.group_share is None else coverage_said(experiment.group_share),
        "start_at": clock.iso_or_none(experiment.start_at),
        "end_at": clock.iso_or_none(experiment.end_at),
        "stop_at": experiment.phase.stop_at,
        "schedule": schedule_said(experiment, clock.now()),
        "variants": [
            {"value": value, "weight": f"{weight:f}"}
            for value, weight in zip(experiment.values, experiment.phase.weights, strict=True)
        ],
        "phases": [
            {
                "number": phase.number,
                "created_at": clock.iso(phase.created_at),
                "enrolled": phase.enrolled,
                "weights": [f"{weight:f}" for weight in phase.weights],
                "coverage": coverage_said(phase.coverage),
                "stop_at": phase.stop_at,
            }
            for phase in experiment.phases
        ],
    }


def described_group(group: Experiment) -> dict[str, Any]:
    """A group as JSON."""
    return {
        "key": group.key,
        "description": group.description,
        "created_at": clock.iso(group.created_at),
        "experiments": [{"key": key, "share": coverage_said(share)} for key, share in members(group).items()],
        "free": coverage_said(1 - group.phase.coverage),
    }


def described_holdout(holdout: Experiment) -> dict[str, Any]:
    """A holdout as JSON."""
    return {
        "key": holdout.key,
        "status": holdout.holdout_status,
        "description": holdout.description,
        "created_at": clock.iso(holdout.created_at),
        "share": coverage_said(holdout.phase.weights[HELD_PLACE] / 100),
        "metrics": [str(metric) for metric in holdout.metrics],
        "devices": holdout.enrolled,
    }


def described_test_device(test_device: TestDevice) -> dict[str, Any]:
    """A test device as JSON."""
    return {
        "token": test_device.token,
        "values": dict(test_device.values),
        "note": test_device.note,
        "made_by": test_device.made_by,
        "made_at": clock.iso(test_device.made_at),
        "is_device": test_device.is_device,
    }


def described_entry(entry: Entry) -> dict[str, Any]:
    """An entry of the journal as JSON."""
    return {
        "id": entry.id,
        "at": clock.iso(entry.at),
        "by": _described_by(entry.by) | {"address": entry.by.address},
        "app": entry.app,
        "action": entry.action,
        "subject": entry.subject,
        "before": dict(entry.before_facts),
        "after": dict(entry.after_facts),
        "said": entry_said(entry),
        "hash": entry.hash,
    }


def table_of_entries(entries: Iterable[Entry]) -> str:
    """Entries of the journal as CSV, with the contents of the JSON in its columns."""
    return csv_lines([ENTRY_COLUMNS, *map(_row, entries)])


def _row(entry: Entry) -> tuple[object, ...]:
    by = entry.by
    texts = (by.kind, by.name, by.address, entry.app, entry.action, entry.subject, entry.before, entry.after)
    return (
        entry.id,
        clock.iso(entry.at),
        *map(harmless, (text or "" for text in (*texts, entry_said(entry)))),
        entry.hash,
    )


def described_shared_link(link: SharedLink) -> dict[str, Any]:
    """A shared link as JSON, without its secret."""
    return {
        "id": link.id,
        "experiment": link.key,
        "note": link.note,
        "made_at": clock.iso(link.made_at),
        "made_by": _described_by(link.made_by),
    }


def described_app(app: App) -> dict[str, Any]:
    """An app as JSON."""
    return {"key": app.key, "created_at": clock.iso(app.created_at)}


def described_person(person: Person) -> dict[str, Any]:
    """A person as JSON."""
    return {
        "name": person.name,
        "role": person.role,
        "app": person.app,
        "created_at": clock.iso(person.created_at),
        "seen_at": clock.iso_or_none(person.seen_at),
        "has_password": person.has_password,
        "is_connected": person.is_connected,
    }


def described_session(session: Session) -> dict[str, Any]:
    """A session as JSON."""
    return {
        "id": session.id,
        "created_at": clock.iso(session.created_at),
        "seen_at": clock.iso(session.seen_at),
        "browser": session.browser.name,
        "address": session.browser.address,
    }


def described_access_token(token: AccessToken) -> dict[str, Any]:
    """An access token as JSON, without its secret."""
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role,
        "app": token.app,
        "created_at": clock.iso(token.created_at),
        "expires_at": clock.iso_or_none(token.expires_at),
        "used_at": clock.iso_or_none(token.used_at),
    }


def _described_by(by: By) -> dict[str, Any]:
    return {"kind": by.kind, "name": by.name}
