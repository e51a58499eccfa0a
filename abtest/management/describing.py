"""Experiments and entries of the journal as people and programs get them."""

from typing import Any

from abtest import clock
from abtest.domain import By, Entry, Experiment, SharedLink
from abtest.language import coverage_said, entry_said, schedule_said


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
        "decided_at": None if experiment.decided_at is None else clock.iso(experiment.decided_at),
        "decided_by": None if experiment.decided_by is None else _described_by(experiment.decided_by),
        "type": experiment.type,
        "audience": [str(condition) for condition in experiment.audience],
        "coverage": coverage_said(experiment.phase.coverage),
        "group": experiment.group,
        "group_share": None if experiment.group_share is None else coverage_said(experiment.group_share),
        "start_at": None if experiment.start_at is None else clock.iso(experiment.start_at),
        "end_at": None if experiment.end_at is None else clock.iso(experiment.end_at),
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


def described_shared_link(link: SharedLink) -> dict[str, Any]:
    """A shared link as JSON, without its secret."""
    return {
        "id": link.id,
        "experiment": link.key,
        "note": link.note,
        "made_at": clock.iso(link.made_at),
        "made_by": _described_by(link.made_by),
    }


def _described_by(by: By) -> dict[str, Any]:
    return {"kind": by.kind, "name": by.name}
