"""The same form, with which people change an experiment that there is."""

from typing import Any

import msgspec

from abtest.domain import Experiment, path_of, revision
from abtest.errors import AbtestError, ChangedMeanwhile, InvalidExperiment
from abtest.language import changes_said
from abtest.management import Step
from abtest.web.base import whole
from abtest.web.pages.changing.attempting import newest, since
from abtest.web.pages.changing.entered import Entered, sent, shown
from abtest.web.pages.changing.form import PREVIEW, SAVE, FormPage
from abtest.web.pages.changing.merging import disputed, edit, fixed, lost, merged
from abtest.web.pages.changing.preview import Preview, preview
from abtest.web.pages.changing.reading import Fault, Found, located, read
from abtest.web.pages.rendering import first_upper


class EditFormPage(FormPage):
    """The form of an experiment that there is."""

    async def preview_of(self, experiment: Experiment, typed: Entered) -> Preview:
        """What comes of what was typed about it."""
        entered = fixed(typed, experiment)
        found = await self._checked_against(experiment, entered)
        return await preview(entered, found, self.prospects, self.app, experiment)

    async def _checked_against(self, experiment: Experiment, entered: Entered) -> Found:
        """What was read, what would be done, and what the experiment has against it."""
        found = read(entered)
        if found.new is None or found.faults:
            return found
        try:
            proposal = await self.service.propose_edit(experiment.key, edit(entered, experiment))
        except AbtestError as error:
            return found.with_faults([located(error, entered)])
        refused = [_refusal(step, entered, experiment) for step in proposal.refused]
        return Found(found.new, steps=proposal.steps).with_faults(refused)


class EditPreviewPart(EditFormPage):
    """What comes of it alone, as for a new one."""

    async def post(self, key: str) -> None:
        experiment = await self.service.one(key)
        self.page("_preview.html", preview=await self.preview_of(experiment, sent(self)))


class EditPage(EditFormPage):
    """Changes an experiment, unless somebody else did since the form was loaded.

    The form says as what the experiment was seen: its revision, what was in the fields, and the newest entry of the
    journal about it.
    """

    async def get(self, key: str) -> None:
        entry, experiment = newest(await self.journal.changes(key, self.app)), await self.service.one(key)
        per_day = await self.prospects.per_day()
        seen = shown(experiment)
        await self._show(await self.preview_of(experiment, seen.having("per_day", str(per_day or ""))), seen, entry)

    head = get

    async def post(self, key: str) -> None:
        typed, do = sent(self), self.get_body_argument("do", PREVIEW)
        experiment, seen = await self.service.one(key), self._seen()
        if self.get_body_argument("revision", "") != revision(experiment):
            await self._changed(experiment, seen, typed)
            return
        found = await self.preview_of(experiment, await self.stepped(typed, do))
        entry = self._number("entry")
        if do != SAVE:
            await self._show(found, seen, entry)
        elif found.found.faults:
            self.refuse(InvalidExperiment("the form has faults"))
            await self._show(found, seen, entry, found.found.faults)
        elif found.phase and found.phase != self._number("phase"):
            await self._show(found, seen, entry, begins=True)
        else:
            await self._save(experiment, found, seen, entry)

    async def _save(self, experiment: Experiment, found: Preview, seen: Entered, entry: int) -> None:
        service = self.experiments(self.app, revision(experiment), by=self.caller.by)
        try:
            await service.edit(experiment.key, edit(found.entered, experiment))
        except ChangedMeanwhile:
            await self._changed(await self.service.one(experiment.key), seen, found.entered)
        except AbtestError as error:
            await self._show(found, seen, entry, (self.fault(error, found.entered),))
        else:
            did = "edited" if found.found.steps else "unchanged"
            self.see_other(f"{path_of(self.app)}/experiments/{experiment.key}", did=did)

    async def _changed(self, experiment: Experiment, seen: Entered, typed: Entered) -> None:
        """Say what others changed, and keep what was typed."""
        self.refuse(ChangedMeanwhile("somebody changed it"))
        others = since(await self.journal.changes(experiment.key, self.app), self.get_body_argument("entry", ""))
        present = shown(experiment)
        gone, typed = lost(seen, typed, experiment), fixed(typed, experiment)
        faults = disputed(seen, typed, present)
        found = await self.preview_of(experiment, merged(seen, typed, present))
        entry = newest(others) or self._number("entry")
        said = [(each, changes_said(each)) for each in others]
        await self._show(found, present, entry, faults, changes=said, changed=True, lost=gone)

    async def _show(
        self, found: Preview, seen: Entered, entry: int, faults: tuple[Fault, ...] = (), **values: Any
    ) -> None:
        assert found.experiment
        hidden = {"seen": msgspec.json.encode(seen).decode(), "entry": entry, "revision": revision(found.experiment)}
        await self.show(found, faults, hidden=hidden, **values)

    def _seen(self) -> Entered:
        """What was in the form when it was loaded; nothing if that can't be read."""
        try:
            return msgspec.json.decode(self.get_body_argument("seen", "", strip=False), type=Entered)
        except msgspec.DecodeError:
            return Entered({}, {})

    def _number(self, name: str) -> int:
        return whole(self.get_body_argument(name, "")) or 0


def _refusal(step: Step, entered: Entered, experiment: Experiment) -> Fault:
    """Beside which field it is said that a step is refused."""
    name = step.field or ""
    if name == "schedule":
        name = "end_at" if entered.texts["start_at"] == shown(experiment).texts["start_at"] else "start_at"
    return Fault(name, f"{first_upper(step.sentence.removeprefix(f'{step.key}: '))}.")
