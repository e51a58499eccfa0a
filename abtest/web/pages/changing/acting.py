"""The pages on which a person starts, pauses, resumes, reweights, finishes and archives an experiment.

Each says what will happen before it is done, and takes the revision of the experiment that it showed: if somebody
changed it meanwhile, nothing is done, and the page says what changed and keeps what was typed.
"""

from contextlib import suppress
from typing import Any

from abtest import clock
from abtest.domain import Experiment, revision
from abtest.errors import Conflict, InvalidExperiment, InvalidField
from abtest.management import ExperimentService, JournalService, as_declared, possible
from abtest.results import PROSPECTIVE_DEVICES, ProspectService, ReportService, ResultService, checks
from abtest.web.base import OfApp
from abtest.web.pages.changing.attempting import AttemptPage, newest, since
from abtest.web.pages.changing.choosing import NO_WINNER, choices, chosen
from abtest.web.pages.changing.weighing import labels, present, read
from abtest.web.services import ChangingSeen


class Act(AttemptPage):
    """Shows what will happen, and does it. `name`: what is done, as in POSSIBLE."""

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

    async def post(self, key: str) -> None:
        await self.attempt(self._attempted(key), (key,), f"/experiments/{key}", self.did)

    async def about(self, *keys: str) -> dict[str, Any]:
        (key,) = keys
        entries = await self._journal.changes(key, self.app)  # first: what somebody changes after that is told later
        experiment = await self._service().one(key)
        return {
            "name": self.name,
            "it": experiment,
            "impossible": self._impossible(experiment),
            "revision": revision(experiment),
            "seen": newest(entries),
            "changes": since(entries, self.entered("seen")),
            **await self.about_it(experiment),
        }

    async def do(self, experiments: ExperimentService, experiment: Experiment) -> None:
        """Do it with what was entered."""
        raise NotImplementedError

    async def about_it(self, experiment: Experiment) -> dict[str, Any]:
        """What else the page shows."""
        return {}

    async def _attempted(self, key: str) -> None:
        experiment = await self._service().one(key)
        if impossible := self._impossible(experiment):
            raise impossible
        await self.do(self._service(self.entered("revision")), experiment)

    def _impossible(self, experiment: Experiment) -> Conflict | None:
        if self.name in possible(experiment):
            return None
        return Conflict(f"the experiment {experiment.key} is {experiment.status.said}", code="impossible_transition")

    def _service(self, revision: str | None = None) -> ExperimentService:
        return self._experiments(self.app, revision, by=self.by)


class Start(Act):
    """Lets a draft take devices, after a look at what is ready and what is missing."""

    name = "start"
    template = "act_start.html"
    did = "started"

    async def do(self, experiments: ExperimentService, experiment: Experiment) -> None:
        await experiments.start(experiment.key)

    async def about_it(self, experiment: Experiment) -> dict[str, Any]:
        report = await self._reports.report()
        prospect = await self._prospects.of(as_declared(experiment).new)
        found = checks(experiment, prospect, [each.experiment for each in report.experiments], clock.now())
        parts = read(experiment, present(experiment)).parts
        return {"checks": found, "known_devices": report.devices, "parts": parts, "next_devices": PROSPECTIVE_DEVICES}


class Pause(Act):
    """Takes no more devices for now."""

    name = "pause"
    template = "act_pause.html"
    did = "paused"

    async def do(self, experiments: ExperimentService, experiment: Experiment) -> None:
        await experiments.pause(experiment.key)


class Resume(Act):
    """Takes devices again."""

    name = "resume"
    template = "act_resume.html"
    did = "resumed"

    async def do(self, experiments: ExperimentService, experiment: Experiment) -> None:
        await experiments.resume(experiment.key)


class Weights(Act):
    """Begins a phase with other weights, another coverage or another number to stop at."""

    name = "weights"
    template = "act_weights.html"
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
        await self.show(key, error=error, revision=self.entered("revision"), seen=self.entered("seen"))

    async def do(self, experiments: ExperimentService, experiment: Experiment) -> None:
        wanted = read(experiment, self._fields(experiment))
        if wanted.nothing:
            raise InvalidExperiment(
                "nothing would change: enter other weights, another coverage or another number to stop at"
            )
        await experiments.reweight(experiment.key, wanted.variants, wanted.coverage, wanted.stop_at)

    async def about_it(self, experiment: Experiment) -> dict[str, Any]:
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
    template = "act_finish.html"
    did = "finished"

    async def do(self, experiments: ExperimentService, experiment: Experiment) -> None:
        winner = chosen(experiment, self.entered("winner"))
        await experiments.finish(experiment.key, winner, self.entered("because"))

    async def about_it(self, experiment: Experiment) -> dict[str, Any]:
        results = await self._results.one(experiment.key)
        return {"results": results, "choices": choices(experiment, results), "no_winner": NO_WINNER}


class Archive(Act):
    """Stops delivering the key. Whoever does it types the key."""

    name = "archive"
    template = "act_archive.html"
    did = ""  # its page says for good that it is archived

    async def do(self, experiments: ExperimentService, experiment: Experiment) -> None:
        if self.entered("key") != experiment.key:
            raise InvalidField(f"type {experiment.key} to confirm", field="key")
        await experiments.archive(experiment.key)
