"""The pages on which a person starts, pauses, resumes, reweights, finishes and archives an experiment.

Each says what will happen before it is done, and takes the revision of the experiment that it showed: if somebody
changed it meanwhile, nothing is done, and the page says what changed and keeps what was typed.
"""

from contextlib import suppress
from typing import Any

from abtest import clock
from abtest.domain import Experiment, path_of, revision
from abtest.errors import AbtestError, ChangedMeanwhile, Conflict, InvalidExperiment, InvalidField, Unavailable
from abtest.management import ExperimentService, JournalService, as_declared, possible
from abtest.results import PROSPECTIVE_DEVICES, ProspectService, ReportService, ResultService, checks
from abtest.web.base import OfApp, PageHandler
from abtest.web.pages.changing.attempting import newest, since
from abtest.web.pages.changing.choosing import NO_WINNER, choices, chosen
from abtest.web.pages.changing.weighing import labels, present, read
from abtest.web.pages.telling import told
from abtest.web.services import ChangingSeen

LABELS = {"winner": "Winner", "key": "Key"}


def impossible(experiment: Experiment) -> Conflict:
    """Why it can't be done."""
    return Conflict(f"the experiment {experiment.key} is {experiment.status.said}", code="impossible_transition")


class Act(PageHandler):
    """Shows what will happen, and does it. `name`: what is done, as in POSSIBLE."""

    caching = "no-store"
    name: str
    did: str

    def initialize(
        self,
        experiments: ChangingSeen[ExperimentService],
        journal: JournalService,
        reports: OfApp[ReportService],
        prospects: OfApp[ProspectService],
        results: OfApp[ResultService],
    ) -> None:
        self._experiments = experiments
        self._journal = journal
        self._reports = reports(self.app)
        self._prospects = prospects(self.app)
        self._results = results(self.app)

    async def get(self, key: str) -> None:
        await self._show(key)

    head = get

    async def post(self, key: str) -> None:
        experiment = await self._service().one(key)
        try:
            if self.name not in possible(experiment):
                raise impossible(experiment)
            await self.do(self._service(self.entered("revision")), experiment)
        except (Conflict, InvalidExperiment, InvalidField, ChangedMeanwhile, Unavailable) as error:
            await self._show(key, error)
        else:
            self.see_other(f"{path_of(self.app)}/experiments/{key}", self.did)

    async def do(self, experiments: ExperimentService, experiment: Experiment) -> None:
        """Do it with what was entered."""
        raise NotImplementedError

    async def about(self, experiment: Experiment) -> dict[str, Any]:
        """What else the page shows."""
        return {}

    def entered(self, name: str, default: str = "") -> str:
        """What was typed into a field."""
        return self.get_body_argument(name, default)

    def _service(self, revision: str | None = None) -> ExperimentService:
        return self._experiments(self.app, revision, by=self.caller.by)

    async def _show(self, key: str, error: AbtestError | None = None, **others: Any) -> None:
        entries = await self._journal.changes(key, self.app)  # first: what somebody changes after that is told later
        experiment = await self._service().one(key)
        is_possible = self.name in possible(experiment)
        if error is None and not is_possible:
            error = impossible(experiment)
        shown = {
            "name": self.name,
            "it": experiment,
            "possible": is_possible,
            "entered": self.entered,
            "revision": revision(experiment),
            "seen": newest(entries),
            "changes": since(entries, self.entered("seen")) if isinstance(error, ChangedMeanwhile) else [],
            "labels": LABELS,
            "wrong": error.field if error else None,
            **await self.about(experiment),
            **others,
        }
        shown["message"] = told(self.refuse(error), error, shown["labels"]) if error else ""
        self.page(f"act_{self.name}.html", page="", **shown)


class Start(Act):
    """Lets a draft take devices, after a look at what is ready and what is missing."""

    name = "start"
    did = "started"

    async def do(self, experiments: ExperimentService, experiment: Experiment) -> None:
        await experiments.start(experiment.key)

    async def about(self, experiment: Experiment) -> dict[str, Any]:
        report = await self._reports.report()
        prospect = await self._prospects.of(as_declared(experiment).new)
        found = checks(experiment, prospect, [each.experiment for each in report.experiments], clock.now())
        parts = read(experiment, present(experiment)).parts
        return {"checks": found, "known_devices": report.devices, "parts": parts, "next_devices": PROSPECTIVE_DEVICES}


class Pause(Act):
    """Takes no more devices for now."""

    name = "pause"
    did = "paused"

    async def do(self, experiments: ExperimentService, experiment: Experiment) -> None:
        await experiments.pause(experiment.key)


class Resume(Act):
    """Takes devices again."""

    name = "resume"
    did = "resumed"

    async def do(self, experiments: ExperimentService, experiment: Experiment) -> None:
        await experiments.resume(experiment.key)


class Weights(Act):
    """Begins a phase with other weights, another coverage or another number to stop at."""

    name = "weights"
    did = "reweighted"

    async def post(self, key: str) -> None:
        if not self.entered("preview"):
            await super().post(key)
            return
        experiment, error = await self._service().one(key), None
        try:
            read(experiment, self._fields(experiment))
        except InvalidExperiment as refused:
            error = refused
        await self._show(key, error, revision=self.entered("revision"), seen=self.entered("seen"))

    async def do(self, experiments: ExperimentService, experiment: Experiment) -> None:
        wanted = read(experiment, self._fields(experiment))
        if wanted.nothing:
            raise InvalidExperiment("nothing would change: enter other weights, another coverage or another number")
        await experiments.reweight(experiment.key, wanted.variants, wanted.coverage, wanted.stop_at)

    async def about(self, experiment: Experiment) -> dict[str, Any]:
        fields = self._fields(experiment)
        about: dict[str, Any] = {
            "fields": fields,
            "labels": labels(experiment),
            "next_devices": PROSPECTIVE_DEVICES,
            "wanted": None,
        }
        with suppress(InvalidExperiment):
            about["wanted"] = read(experiment, fields)
        return about

    def _fields(self, experiment: Experiment) -> dict[str, str]:
        return {name: self.entered(name, as_it_is) for name, as_it_is in present(experiment).items()}


class Finish(Act):
    """Takes no more devices for good, with a winner or without one."""

    name = "finish"
    did = "finished"

    async def do(self, experiments: ExperimentService, experiment: Experiment) -> None:
        winner = chosen(experiment, self.entered("winner"))
        await experiments.finish(experiment.key, winner, self.entered("because"))

    async def about(self, experiment: Experiment) -> dict[str, Any]:
        results = await self._results.one(experiment.key)
        return {"results": results, "choices": choices(experiment, results), "no_winner": NO_WINNER}


class Archive(Act):
    """Stops delivering the key. Whoever does it types the key."""

    name = "archive"
    did = "archived"

    async def do(self, experiments: ExperimentService, experiment: Experiment) -> None:
        if self.entered("key") != experiment.key:
            raise InvalidField(f"type {experiment.key} to confirm", field="key")
        await experiments.archive(experiment.key)
