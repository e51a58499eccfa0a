"""The form with which people make an experiment."""

import re
from http import HTTPStatus
from typing import Any

from abtest.domain import KNOWN_ATTRIBUTES, MOST_VARIANTS, path_of
from abtest.errors import AbtestError, InvalidExperiment
from abtest.language import forms
from abtest.management import Declared, ExperimentService, GroupService, JournalService
from abtest.results import ProspectService
from abtest.web.base import OfApp, PageHandler
from abtest.web.pages.changing.entered import NOTHING, Entered, sent, shown
from abtest.web.pages.changing.preview import Preview, preview
from abtest.web.pages.changing.reading import Fault, Found, located, read
from abtest.web.pages.telling import sentence
from abtest.web.services import Changing, ChangingSeen

STEP = re.compile(r"(add|remove)-(variants|audience|metrics)(?:-(\d{1,2}))?")
"""Buttons that change the number of rows."""
PREVIEW, PLAN, SAVE = "preview", "plan", "save"


class FormPage(PageHandler):
    """The form, and beside it what comes of what is in it."""

    def initialize(
        self,
        experiments: ChangingSeen[ExperimentService],
        groups: Changing[GroupService],
        prospects: OfApp[ProspectService],
        journal: JournalService,
    ) -> None:
        self.experiments = experiments
        self._groups = groups
        self.prospects = prospects(self.app)
        self.journal = journal

    @property
    def service(self) -> ExperimentService:
        """Changes experiments, whatever they are by then."""
        return self.experiments(self.app, by=self.caller.by)

    async def preview(self, entered: Entered) -> Preview:
        """What comes of it."""
        return await preview(entered, await self._checked(entered), self.prospects, self.app)

    async def _checked(self, entered: Entered) -> Found:
        """What was read, with what the experiments that there are have against it."""
        found = read(entered)
        if found.new is None or not found.is_sound("key"):
            return found
        try:
            proposal = await self.service.propose([Declared(found.new)])
        except InvalidExperiment as error:
            return found.with_faults([located(error, entered)])
        taken = [] if proposal.added else [Fault("key", f"The experiment {found.new.key} exists already.")]
        return found.with_faults(taken)

    async def stepped(self, entered: Entered, do: str) -> Entered:
        """After the button that adds a row, removes one or takes the number of the plan."""
        if do == PLAN:
            answer = (await self.preview(entered)).answer
            return entered if answer is None else entered.having("planned", str(answer.plan.planned))
        if match := STEP.fullmatch(do):
            name = match[2]
            return entered.with_row(name) if match[1] == "add" else entered.without_row(name, int(match[3] or 0))
        return entered

    def fault(self, error: AbtestError, entered: Entered) -> Fault:
        """Why nothing was saved, with the status of that. Of the server's own troubles no more than programs hear."""
        problem = self.refuse(error)
        ours = problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return Fault("", sentence(problem.detail)) if ours else located(error, entered)

    async def show(self, preview: Preview, faults: tuple[Fault, ...] = (), **values: Any) -> None:
        """Finish with the form as it was typed."""
        groups = await self._groups(self.app, by=self.caller.by).all()
        self.page(
            "experiment_form.html",
            page="",
            entered=preview.entered,
            preview=preview,
            it=preview.experiment,
            faults=faults,
            wrong={fault.field: fault for fault in faults},
            labels=forms.EXPERIMENT_LABELS,
            attributes=[(name, name) for name in KNOWN_ATTRIBUTES],
            groups=[(group.key, group.key) for group in groups],
            most=MOST_VARIANTS,
            **{"hidden": {}, "changed": False, "changes": [], "lost": (), "begins": False} | values,
        )


class PreviewPart(FormPage):
    """What comes of it alone: the script asks for it while somebody types."""

    async def post(self) -> None:
        self.page("_preview.html", preview=await self.preview(sent(self)))


class NewExperimentPage(FormPage):
    """Makes an experiment. `like`: the key of one that the form begins with."""

    async def get(self) -> None:
        entered = NOTHING
        if like := self.get_query_argument("like", ""):
            entered = shown(await self.service.one(like)).having("key", "").having("begin", NOTHING.texts["begin"])
        per_day = await self.prospects.per_day()
        await self.show(await self.preview(entered.having("per_day", str(per_day or ""))))

    head = get

    async def post(self) -> None:
        entered, do = sent(self), self.get_body_argument("do", PREVIEW)
        seen = await self.preview(await self.stepped(entered, do))
        faults, new = seen.found.faults, seen.found.new
        if do != SAVE:
            await self.show(seen)
        elif faults or new is None:
            self.refuse(InvalidExperiment("the form has faults"))
            await self.show(seen, faults)
        else:
            try:
                await self.service.add([new])
            except AbtestError as error:
                await self.show(seen, (self.fault(error, entered),))
            else:
                did = "added" if new.draft or new.start_at is not None else "added_running"
                self.see_other(f"{path_of(self.app)}/experiments/{new.key}", did=did)
