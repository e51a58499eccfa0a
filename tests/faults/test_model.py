"""First requests, changes, erasures and restarts in any order: the service answers what a simple model predicts."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec import Struct, field

from abtest import allocation
from abtest.domain import DEFAULT_APP, read_attributes
from abtest.domain.experiments import NewExperiment, Status, Variant
from abtest.enrolment.answers import EnrolmentService, Limits
from abtest.enrolment.explanation import ExplanationService
from abtest.errors import Conflict, InvalidExperiment
from abtest.management import AppService, GroupService, HoldoutService
from abtest.management.experiments import ExperimentService
from abtest.results import worker
from abtest.results.reports import ReportService
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust.verification import VerificationService
from tests.faults.parts import Part
from tests.scenes import ANNA, values_by_key

MEMORY = Path("/dev/shm")
KEYS = tuple("abcdefgh")
WEIGHTS = st.lists(st.sampled_from(["0", "1", "2", "33.3", "97"]), min_size=3, max_size=3).filter(
    lambda weights: any(Decimal(weight) for weight in weights)
)
ALLOWED = {
    "start": {Status.DRAFT: Status.RUNNING},
    "pause": {Status.RUNNING: Status.PAUSED},
    "resume": {Status.PAUSED: Status.RUNNING},
    "finish": {Status.RUNNING: Status.FINISHED, Status.PAUSED: Status.FINISHED},
    "archive": dict.fromkeys(set(Status) - {Status.ARCHIVED}, Status.ARCHIVED),
}


Said = dict[str, str]
MIX: list[Said] = [
    {},
    {"platform": "ios", "app_version": "3.9"},
    {"platform": "ios", "app_version": "v3.10.0", "country": "DE"},
    {"platform": "android", "app_version": "3.10.0 (7)", "country": "US"},
    {"platform": "android", "app_version": "4.0-beta.1", "country": "FR"},
    {"app_version": "nightly", "country": "DE"},
]
AUDIENCES: dict[tuple[str, ...], Callable[[Said], bool]] = {
    (): lambda said: True,
    ("platform=ios",): lambda said: said.get("platform") == "ios",
    ("country!=US",): lambda said: said.get("country") in {"DE", "FR"},
    ("app_version>=3.10", "app_version<4"): lambda said: said in (MIX[2], MIX[3], MIX[4]),
    ("country=DE,FR", "app_version>3.10"): lambda said: said == MIX[4],
}
"""Conditions, each with a function that says whether one of the devices above fulfils all of them."""
COVERAGES = st.sampled_from(["1", "1", "0.2", "0.5", "0.333333", "0.01"]).map(Decimal)
SHARES = st.sampled_from(["0.05", "0.3", "0.333333", "0.5", "1"]).map(Decimal)
OUTSIDE = ""


class Modelled(Struct):
    """What the model knows of an experiment: weights, coverage and counts of each phase, and how many came."""

    status: Status
    values: tuple[str, ...]
    phases: list[tuple[tuple[Decimal, ...], Decimal]]
    counts: list[Counter[str]]
    audience: tuple[str, ...] = ()
    came: Counter[bool] = field(default_factory=Counter)
    winner: str | None = None
    won: int = 0
    stop_at: int | None = None
    group: str | None = None

    @property
    def is_full(self) -> bool:
        had = sum(counts.total() - counts[OUTSIDE] for counts in self.counts)
        return self.status == Status.RUNNING and self.stop_at is not None and had >= self.stop_at


class ModelledGroup(Struct):
    """What the model knows of a group: its shares and counts in each phase."""

    phases: list[dict[str, Decimal]]
    counts: list[Counter[str]]

    def change(self, members: dict[str, Decimal]) -> None:
        self.phases.append(members)
        self.counts.append(Counter())

    @property
    def members(self) -> dict[str, Decimal]:
        return self.phases[-1]


class ModelledHoldout(Struct):
    """What the model knows of a holdout."""

    share: Decimal
    counts: Counter[str] = field(default_factory=Counter)
    ended: bool = False


class Model(Struct):
    """The experiments, and the devices with every value that they ever got."""

    devices: dict[str, dict[str, str]] = field(default_factory=dict)
    experiments: dict[str, Modelled] = field(default_factory=dict)
    groups: dict[str, ModelledGroup] = field(default_factory=dict)
    holdouts: dict[str, ModelledHoldout] = field(default_factory=dict)
    came: int = 0

    def delivered(self, token: str) -> dict[str, str]:
        """The answer that a known device must get."""
        hidden = {Status.ARCHIVED, Status.DRAFT}
        return {
            key: value for key, value in self.devices[token].items() if self.experiments[key].status not in hidden
        }

    def takes(self, said: Said, given: dict[str, str | None]) -> set[str]:
        """The experiments that must take a new device, with these attributes and these outcomes of its groups."""
        return {
            key
            for key, each in self.experiments.items()
            if (each.status == Status.RUNNING or (each.status == Status.FINISHED and each.winner))
            and AUDIENCES[each.audience](said)
            and (each.group is None or given[each.group] == key)
            and not each.is_full
        }


class Life(RuleBasedStateMachine):
    """The life of one database. `played`: how many runs and steps there were so far."""

    played: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.runner = asyncio.Runner()
        self.models = {DEFAULT_APP: Model()}
        self.app = DEFAULT_APP
        self.open()

    def open(self) -> None:
        self.store = SQLiteStore(Path(self.folder.name) / "abtest.db")
        self.run(self.store.open())
        self.enrolment = EnrolmentService(self.store, Limits(cache=5))
        self.at(self.app)

    def at(self, app: str) -> None:
        """Let all that follows happen in this app."""
        if app not in self.models:
            self.run(AppService(self.store, by=ANNA).add(app))
            self.models[app] = Model()
        self.app, self.model = app, self.models[app]
        self.number = self.run(self.enrolment.find_app(app))
        self.experiments = ExperimentService(self.store, app, by=ANNA)
        self.groups = GroupService(self.store, app, by=ANNA)
        self.holdouts = HoldoutService(self.store, app, by=ANNA)

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def ask(self, tokens: list[str], said: Sequence[Said] = ()) -> list[dict[str, str]]:
        mix = [read_attributes(each.items()) for each in said or MIX]

        async def asking() -> list[dict[str, str]]:
            asked = (
                self.enrolment.ask(token, None, each, self.number)
                for token, each in zip(tokens, cycle(mix), strict=False)
            )
            return [values_by_key(answer) for answer in await asyncio.gather(*asked)]

        answers: list[dict[str, str]] = self.run(asking())
        return answers

    @rule(app=st.sampled_from([DEFAULT_APP, "staging"]))
    def somebody_turns_to_an_app(self, app: str) -> None:
        self.at(app)

    @rule(came=st.lists(st.sampled_from(MIX), min_size=1, max_size=12))
    def devices_come(self, came: list[Said]) -> None:
        tokens = [f"device-{self.model.came + place}" for place in range(len(came))]
        self.model.came += len(came)
        for token, said, answer in zip(tokens, came, self.ask(tokens, came), strict=True):
            taking = self.taking(token, said)
            for key in taking - answer.keys():
                it = self.model.experiments[key]
                assert it.status == Status.RUNNING
                it.counts[-1][OUTSIDE] += 1
            assert answer.keys() <= taking
            assert OUTSIDE not in answer.values()
            for it in self.model.experiments.values():
                it.came[AUDIENCES[it.audience](said)] += it.status in {Status.DRAFT, Status.RUNNING, Status.PAUSED}
            self.model.devices[token] = dict(answer)
            for key, value in answer.items():
                it = self.model.experiments[key]
                if it.status == Status.FINISHED:
                    assert value == it.winner
                    it.won += 1
                else:
                    it.counts[-1][value] += 1

    def taking(self, token: str, said: Said) -> set[str]:
        """The experiments that must take this new device. Checks first that its holdouts and groups are possible."""
        explanation = self.run(ExplanationService(self.store, self.app).why(token))
        drawn = {each.key: each.value for each in explanation.holdouts if each.position is not None}
        for key, holdout in self.model.holdouts.items():
            if not holdout.ended:
                outcome = drawn.pop(key)
                assert outcome in {"held", "free"}
                holdout.counts[outcome] += 1
                if outcome == "held":
                    assert not drawn
                    assert all(each.position is None for each in explanation.groups)
                    return set()
        assert not drawn
        given = {each.key: each.value for each in explanation.groups if each.position is not None}
        assert given.keys() == {key for key, group in self.model.groups.items() if group.members}
        for key, experiment in given.items():
            assert experiment is None or experiment in self.model.groups[key].members
            self.model.groups[key].counts[-1][experiment or OUTSIDE] += 1
        return self.model.takes(said, given)

    @rule(key=st.sampled_from(["x", "y"]), share=SHARES.filter(lambda share: share < 1))
    def a_holdout_is_added(self, key: str, share: Decimal) -> None:
        adding = self.holdouts.add(key, share)
        if key in self.model.holdouts:
            with pytest.raises(Conflict):
                self.run(adding)
            return
        self.run(adding)
        self.model.holdouts[key] = ModelledHoldout(share)

    @rule(key=st.sampled_from(["x", "y"]))
    def a_holdout_ends(self, key: str) -> None:
        holdout = self.model.holdouts.get(key)
        if holdout is None or holdout.ended:
            return
        self.run(self.holdouts.end(key))
        holdout.ended = True

    @rule(key=st.sampled_from(["p", "q"]))
    def a_group_is_added(self, key: str) -> None:
        if key not in self.model.groups:
            self.run(self.groups.add(key))
            self.model.groups[key] = ModelledGroup([{}], [Counter()])

    @rule(group=st.sampled_from(["p", "q"]), data=st.data(), share=SHARES)
    def an_experiment_joins(self, group: str, data: st.DataObject, share: Decimal) -> None:
        if not self.model.experiments or group not in self.model.groups:
            return
        key = data.draw(st.sampled_from(sorted(self.model.experiments)))
        it, there = self.model.experiments[key], self.model.groups[group]
        joining = self.groups.join(group, key, share)
        if it.group is not None or it.status in {Status.FINISHED, Status.ARCHIVED}:
            with pytest.raises(Conflict):
                self.run(joining)
        elif sum(there.members.values()) + share > 1:
            with pytest.raises(InvalidExperiment):
                self.run(joining)
        else:
            self.run(joining)
            it.group = group
            there.change(there.members | {key: share})

    @rule(data=st.data())
    def an_experiment_leaves(self, data: st.DataObject) -> None:
        members = sorted(key for key, each in self.model.experiments.items() if each.group is not None)
        if members:
            key = data.draw(st.sampled_from(members))
            self.run(self.groups.leave(self.model.experiments[key].group or "", key))
            self.left(key)

    def left(self, key: str) -> None:
        it = self.model.experiments[key]
        if it.group is not None:
            group = self.model.groups[it.group]
            group.change({member: share for member, share in group.members.items() if member != key})
            it.group = None

    @rule(data=st.data())
    def devices_come_again(self, data: st.DataObject) -> None:
        if self.model.devices:
            tokens = data.draw(st.lists(st.sampled_from(sorted(self.model.devices)), max_size=5, unique=True))
            assert self.ask(tokens) == [self.model.delivered(token) for token in tokens]

    @rule(
        key=st.sampled_from(KEYS),
        weights=WEIGHTS,
        draft=st.booleans(),
        audience=st.sampled_from(list(AUDIENCES)),
        coverage=COVERAGES,
        stop_at=st.sampled_from([None, None, 1, 3, 10]),
    )
    def an_experiment_is_added(
        self,
        key: str,
        weights: list[str],
        draft: bool,
        audience: tuple[str, ...],
        coverage: Decimal,
        stop_at: int | None,
    ) -> None:
        values = tuple(f"{key}{place}" for place in range(len(weights)))
        exact = tuple(map(Decimal, weights))
        baseline = next(value for value, weight in zip(values, exact, strict=True) if weight)
        new = NewExperiment(
            key,
            tuple(map(Variant, values, exact)),
            draft=draft,
            baseline=baseline,
            audience=audience,
            coverage=coverage,
            stop_at=stop_at,
        )
        if key in self.model.experiments:
            with pytest.raises(Conflict):
                self.run(self.experiments.add([new]))
            return
        self.run(self.experiments.add([new]))
        status = Status.DRAFT if draft else Status.RUNNING
        self.model.experiments[key] = Modelled(
            status, values, [(exact, coverage)], [Counter()], audience, stop_at=stop_at
        )
        self.run(self.enrolment.refresh())

    @rule(data=st.data(), action=st.sampled_from(sorted(ALLOWED)))
    def an_experiment_changes(self, data: st.DataObject, action: str) -> None:
        if not self.model.experiments:
            return
        key = data.draw(st.sampled_from(sorted(self.model.experiments)))
        it = self.model.experiments[key]
        winner = data.draw(st.sampled_from([None, *it.values])) if action == "finish" else None
        arguments = (key, winner) if action == "finish" else (key,)
        change = getattr(self.experiments, action)(*arguments)
        names_late = it.status == Status.FINISHED and it.winner is None and winner is not None
        if it.status not in ALLOWED[action] and not names_late:
            with pytest.raises(Conflict):
                self.run(change)
            return
        self.run(change)
        it.status, it.winner = ALLOWED[action].get(it.status, it.status), winner or it.winner
        if it.status in {Status.FINISHED, Status.ARCHIVED}:
            self.left(key)
        self.run(self.enrolment.refresh())

    @rule(data=st.data(), weights=WEIGHTS | st.none(), coverage=COVERAGES | st.none())
    def an_experiment_is_weighed_anew(
        self, data: st.DataObject, weights: list[str] | None, coverage: Decimal | None
    ) -> None:
        if not self.model.experiments:
            return
        key = data.draw(st.sampled_from(sorted(self.model.experiments)))
        it = self.model.experiments[key]
        before, covered = it.phases[-1]
        exact = tuple(map(Decimal, weights or ()))
        change = self.experiments.reweight(key, list(map(Variant, it.values, exact)), coverage)
        if it.status in {Status.FINISHED, Status.ARCHIVED}:
            with pytest.raises(Conflict):
                self.run(change)
            return
        self.run(change)
        if weights is not None or coverage is not None:
            it.phases.append((exact or before, coverage or covered))
            it.counts.append(Counter())
        self.run(self.enrolment.refresh())

    @rule(data=st.data())
    def a_device_is_forgotten(self, data: st.DataObject) -> None:
        if self.model.devices:
            token = data.draw(st.sampled_from(sorted(self.model.devices)))
            assert self.run(self.store.forget([token, "nobody"], self.app)) == 1
            del self.model.devices[token]
            self.run(self.enrolment.refresh())
            assert self.run(self.enrolment.find(token, self.number)) is None

    @rule()
    def the_process_starts_again(self) -> None:
        self.run(self.store.close())
        self.open()

    @rule()
    def the_worker_counts(self) -> None:
        self.run(worker.tick(self.store))
        report = self.run(ReportService(self.store, self.app).report())
        assert report.devices == self.model.came
        for each in report.experiments:
            it = self.model.experiments[each.experiment.key]
            assert [list(phase.counts) for phase in each.phases] == [
                [counts[value] for value in it.values] for counts in it.counts
            ]
            assert [phase.uncovered for phase in each.phases] == [counts[OUTSIDE] for counts in it.counts]
            assert each.experiment.enrolled == each.devices
            assert each.won == it.won
            assert each.experiment.group == it.group
            if it.audience:
                assert each.audience is not None
                assert (each.audience.devices, each.audience.outside) == (it.came.total(), it.came[False])

    @invariant()
    def it_goes_on(self) -> None:
        self.played["steps"] += 1

    def teardown(self) -> None:
        self.played["runs"] += 1
        self.played["steps"] -= 1  # the invariants are also checked before the first step
        try:
            for app in self.models:
                self.at(app)
                self.the_worker_counts()
                self.every_count_is_within_its_bound()
                tokens = sorted(self.model.devices)
                assert self.ask(tokens) == [self.model.delivered(token) for token in tokens]
            findings = self.run(VerificationService(self.store).verify()).findings
            assert findings == (), findings
        finally:
            self.run(self.store.close())
            self.runner.close()
            self.folder.cleanup()

    def every_count_is_within_its_bound(self) -> None:
        for it in self.model.experiments.values():
            for (weights, coverage), counts in zip(it.phases, it.counts, strict=True):
                exact, _ = allocation.drawn_weights(weights, coverage)
                assert coverage < 1 or not counts[OUTSIDE]
                self.is_within_its_bound(exact, [counts[value] for value in [*it.values, OUTSIDE][: len(exact)]])
            assert it.stop_at is None or sum(counts.total() - counts[OUTSIDE] for counts in it.counts) <= it.stop_at
        for holdout in self.model.holdouts.values():
            exact = allocation.lowest_terms([holdout.share, 1 - holdout.share])
            self.is_within_its_bound(exact, [holdout.counts["held"], holdout.counts["free"]])
        for group in self.model.groups.values():
            for members, counts in zip(group.phases, group.counts, strict=True):
                exact = allocation.lowest_terms([*members.values(), 1 - sum(members.values(), Decimal(0))])
                self.is_within_its_bound(exact, [*(counts[key] for key in members), counts[OUTSIDE]])

    def is_within_its_bound(self, weights: allocation.Weights, counts: Sequence[int]) -> None:
        assert allocation.deviation(weights, counts) <= allocation.bound(weights)


class ForgetfulLife(Life):
    """The control: at some moment every assignment is lost, which the model must notice."""

    @rule()
    def assignments_are_lost(self) -> None:
        self.run(self.store.write(lambda connection: connection.execute("DELETE FROM assignment")))


def lives(runs: int, steps: int, machine: type[Life] = Life, chance: int = 1) -> dict[str, int]:
    """Run this many databases with this many steps each; returns how many runs and steps there were."""
    machine.played.clear()
    run_state_machine_as_test(
        seed(chance)(machine),
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    return dict(machine.played)


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return lives(part.of(2_000), 50, chance=part.seed)


def test_the_service_does_what_the_model_says() -> None:
    lives(15, 25)


def test_the_model_notices_lost_assignments() -> None:
    with pytest.raises((AssertionError, ExceptionGroup)):
        lives(20, 20, ForgetfulLife)
