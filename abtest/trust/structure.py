"""What is wrong with experiments and tokens, before any assignment is examined."""

import re
from collections import Counter
from collections.abc import Iterator

from abtest import allocation
from abtest.domain import DEFAULT_APP, DEFAULT_APP_ID, MOST_PROFILES, Kind, Status
from abtest.store import ExperimentRecord, Ledger
from abtest.trust.redrawing import fits


def structure(ledger: Ledger) -> Iterator[str]:
    """What is wrong before any assignment is examined."""
    for name in ledger.missing:
        yield f"meta: {name} is missing"
    if ledger.strangers:
        yield f"{ledger.strangers} rows of devices, tokens or assignments have a device id that was never given"
    for wrong in re.finditer(rb"[^\x01]", ledger.tokens):
        yield f"device {wrong.start() + 1}: has {wrong.group()[0] or 'no'} tokens"
    if ledger.without_profile:
        yield f"{ledger.without_profile} devices have attributes that are not kept"
    yield from _apps(ledger)
    for number, attributes in sorted(ledger.profiles.items()):
        if attributes is None or (not attributes and ledger.apps[number] == DEFAULT_APP_ID):
            yield f"profile {number}: its attributes are not what devices can have"
    for experiment in ledger.experiments:
        for finding in _experiment_structure(experiment):
            yield f"{experiment.name}: {finding}"
        if experiment.created_after_device > ledger.last_device:
            yield f"{experiment.name}: created after device {experiment.created_after_device}, which never existed"
    yield from _test_values(ledger)


def _apps(ledger: Ledger) -> Iterator[str]:
    if ledger.strange_test_devices:
        yield f"{ledger.strange_test_devices} test devices have a token of another app than their own"
    profiles = Counter(ledger.apps.values())
    for app in sorted({DEFAULT_APP_ID, *ledger.app_rows, *profiles, *(each.app for each in ledger.experiments)}):
        kept = profiles[app] - (app != DEFAULT_APP_ID)  # other apps have a profile without attributes too
        if app not in ledger.app_rows:
            yield f"app {app}: its row is missing"
            continue
        key, counted = ledger.app_rows[app]
        if (app == DEFAULT_APP_ID) is not (key == DEFAULT_APP):
            yield f"app {app}: has the key {key!r}, but app {DEFAULT_APP_ID} and no other must have {DEFAULT_APP!r}"
        if kept > MOST_PROFILES:
            yield f"{kept} combinations of attributes are kept for app {app}, more than {MOST_PROFILES}"
        if kept != counted:
            yield f"app {app}: {counted} combinations of attributes are counted, but {kept} are kept"


def _test_values(ledger: Ledger) -> Iterator[str]:
    experiments = {each.id: each for each in ledger.experiments if each.kind == Kind.EXPERIMENT}
    for each in ledger.test_values:
        experiment = experiments.get(each.experiment_id)
        if experiment is None:
            yield f"test device {each.test_device}: has a value of an unknown experiment"
        elif experiment.app != each.app:
            yield f"test device {each.test_device} in {experiment.name}: the experiment belongs to another app"
        elif each.variant_id not in experiment.variants:
            yield f"test device {each.test_device} in {experiment.name}: its variant belongs to another experiment"


def _experiment_structure(experiment: ExperimentRecord) -> Iterator[str]:
    phases, statuses, created = experiment.phases, experiment.statuses, experiment.created_after_device
    if experiment.algorithm != allocation.VERSION:
        yield f"its allocation has version {experiment.algorithm}, but this program knows {allocation.VERSION}"
    if experiment.audience is None:
        yield "its audience can't be read"
    if experiment.places != tuple(range(len(experiment.places))):
        yield f"the places of its variants are {experiment.places}"
    if [phase.number for phase in phases] != list(range(1, len(phases) + 1)) or not phases:
        yield f"its phases are numbered {[phase.number for phase in phases]}"
    for phase in phases:
        if not fits(experiment, phase):
            yield f"phase {phase.number}: its weights or coverage can't be read"
    for name, afters in (
        ("phases", [phase.created_after_device for phase in phases]),
        ("statuses", [status.after_device for status in statuses]),
    ):
        if afters != sorted(afters) or afters[:1] != [created]:
            yield f"created after device {created}, but its {name} begin after {afters}"
    for status in statuses:
        if status.status not in set(Status):
            yield f"had the unknown status {status.status!r}"
        if status.winner is not None and status.winner not in experiment.values:
            yield f"had the winner {status.winner!r}, which is not one of its values"
    last = (statuses[-1].status, statuses[-1].winner) if statuses else (None, None)
    if last != (experiment.status, experiment.winner):
        stored = f"{experiment.status!r} with winner {experiment.winner!r}"
        yield f"its status is {stored}, but the last change says {last}"
