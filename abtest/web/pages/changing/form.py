"""The form with which people make an experiment."""

import re
from http import HTTPStatus

from abtest.domain import KNOWN_ATTRIBUTES, MOST_VARIANTS, path_of
from abtest.errors import AbtestError, InvalidExperiment
from abtest.management import Declared, ExperimentService, GroupService
from abtest.results import ProspectService
from abtest.web.base import OfApp, PageHandler
from abtest.web.pages.changing.entered import NOTHING, Entered, sent, shown
from abtest.web.pages.changing.preview import Preview, preview
from abtest.web.pages.changing.reading import LABELS, Fault, Found, located, read
from abtest.web.pages.telling import sentence
from abtest.web.services import Changing, ChangingSeen

STEP = re.compile(r"(add|remove)-(variants|audience|metrics)(?:-(\d{1,2}))?")
"""Buttons that change the number of rows."""
PREVIEW, PLAN, SAVE = "preview", "plan", "save"


class FormPage(PageHandler):
    """The form, and beside it what comes of what is in it."""

    caching = "no-store"

    def initialize(
        self,
        experiments: ChangingSeen[ExperimentService],
        groups: Changing[GroupService],
        prospects: OfApp[ProspectService],
    ) -> None:
        self._experiments = experiments
        self._groups = groups
        self._prospects = prospects(self.app)

    async def preview(self, entered: Entered) -> Preview:
        """What comes of it."""
        return await preview(entered, await self._checked(entered), self._prospects, self.app)

    async def _checked(self, entered: Entered) -> Found:
        """What was read, with what the experiments that there are have against it."""
        found = read(entered)
        if found.new is None or not found.is_sound("key"):
            return found
        try:
            proposal = await self._experiments(self.app, by=self.caller.by).propose([Declared(found.new)])
        except InvalidExperiment as error:
            return found.with_faults([located(error, entered)])
        taken = [] if proposal.added else [Fault("key", f"The experiment {found.new.key} exists already.")]
        return found.with_faults(taken)

    def fault(self, error: AbtestError, entered: Entered) -> Fault:
        """Why nothing was saved, with the status of that. Of the server's own troubles no more than programs hear."""
        problem = self.refuse(error)
        ours = problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return Fault("", sentence(problem.detail)) if ours else located(error, entered)


class PreviewPart(FormPage):
    """What comes of it alone: the script asks for it while somebody types."""

    async def post(self) -> None:
        self.page("_preview.html", preview=await self.preview(sent(self)))


class NewExperimentPage(FormPage):
    """Makes an experiment. `like`: the key of one that the form begins with."""

    async def get(self) -> None:
        entered = NOTHING
        if like := self.get_query_argument("like", ""):
            experiment = await self._experiments(self.app, by=self.caller.by).one(like)
            entered = shown(experiment).having("key", "").having("begin", NOTHING.texts["begin"])
        per_day = await self._prospects.per_day()
        await self._show(entered.having("per_day", str(per_day) if per_day else ""))

    head = get

    async def post(self) -> None:
        entered, do = sent(self), self.get_body_argument("do", PREVIEW)
        if do == SAVE:
            await self._save(entered)
        else:
            await self._show(await self._stepped(entered, do))

    async def _stepped(self, entered: Entered, do: str) -> Entered:
        if do == PLAN:
            answer = (await self.preview(entered)).answer
            return entered if answer is None else entered.having("planned", str(answer.plan.planned))
        if match := STEP.fullmatch(do):
            name = match[2]
            return entered.with_row(name) if match[1] == "add" else entered.without_row(name, int(match[3] or 0))
        return entered

    async def _save(self, entered: Entered) -> None:
        seen = await self.preview(entered)
        faults, new = seen.found.faults, seen.found.new
        if faults or new is None:
            self.refuse(InvalidExperiment("the form has faults"))
            await self._show(entered, faults)
            return
        try:
            await self._experiments(self.app, by=self.caller.by).add([new])
        except AbtestError as error:
            await self._show(entered, (self.fault(error, entered),))
        else:
            did = "added" if new.draft or new.start_at is not None else "added_running"
            self.see_other(f"{path_of(self.app)}/experiments/{new.key}", did=did)

    async def _show(self, entered: Entered, faults: tuple[Fault, ...] = ()) -> None:
        groups = await self._groups(self.app, by=self.caller.by).all()
        self.page(
            "new_experiment.html",
            page="",
            entered=entered,
            preview=await self.preview(entered),
            faults=faults,
            wrong={fault.field: fault for fault in faults},
            labels=LABELS,
            attributes=[(name, name) for name in KNOWN_ATTRIBUTES],
            groups=[(group.key, group.key) for group in groups],
            most=MOST_VARIANTS,
        )
