"""What every store in a relational database does with the same statements, as methods."""

import asyncio
from collections.abc import Sequence

from abtest import clock
from abtest.domain import DEFAULT_APP, PROGRAM, By, scoped
from abtest.store.figures import Folded
from abtest.store.relational import (
    admitting,
    auditing,
    cataloguing,
    copying,
    erasing,
    exporting,
    journal,
    summarising,
    upkeep,
)
from abtest.store.relational.enrolling import config_version, newcomers
from abtest.store.relational.methods import Transactions, noting, reading, writing, writing_figures

PAUSE_SECONDS = 0.02


class RelationalStore(Transactions):
    """Implements the Protocols of the store, except first requests and events, with a database's transactions."""

    _decided: summarising.Decided

    experiments = reading(cataloguing.experiments)
    add = writing(cataloguing.add)
    change = writing(cataloguing.change)
    alter = writing(cataloguing.alter)
    due = reading(cataloguing.due)
    join = writing(cataloguing.join)
    leave = writing(cataloguing.leave)
    apps = reading(cataloguing.apps)
    add_app = writing(cataloguing.add_app)
    test_devices = reading(cataloguing.test_devices)
    test_device = reading(cataloguing.test_device)
    add_test_device = writing(cataloguing.add_test_device)
    remove_test_device = writing(cataloguing.remove_test_device)
    tested = reading(cataloguing.tested)

    people = reading(admitting.people)
    has_people = reading(admitting.has_people)
    add_person = writing(admitting.add_person)
    change_person = writing(admitting.change_person)
    remove_person = writing(admitting.remove_person)
    put_link = writing(admitting.put_link)
    disconnect = writing(admitting.disconnect)
    linked = reading(admitting.linked)
    use_link = writing(admitting.use_link)
    named = reading(admitting.named)
    put_first_link = writing(admitting.put_first_link)
    require_first_link = reading(admitting.require_first_link)
    use_first_link = writing(admitting.use_first_link)
    password = reading(admitting.password)
    begin_session = writing(admitting.begin_session)
    session = reading(admitting.session)
    sessions = reading(admitting.sessions)
    admit = writing(admitting.admit)
    see_session = writing(admitting.see_session)
    end_sessions = writing(admitting.end_sessions)
    sign_out = writing(admitting.sign_out)
    change_password = writing(admitting.change_password)
    access_tokens = reading(admitting.access_tokens)
    add_access_token = writing(admitting.add_access_token)
    revoke_access_token = writing(admitting.revoke_access_token)
    access_token = reading(admitting.access_token)
    use_access_token = writing(admitting.use_access_token)
    shared_links = reading(admitting.shared_links)
    add_shared_link = writing(admitting.add_shared_link)
    revoke_shared_link = writing(admitting.revoke_shared_link)
    shared_link = reading(admitting.shared_link)

    settled = reading(cataloguing.settled)
    journal_chunk = reading(journal.journal_chunk)
    entries = reading(journal.entries)
    changes = reading(journal.changes)
    note_export = writing(journal.note_export)

    async def fold(self, most: int, now: int) -> Folded:
        """See FoldingStore.fold."""
        return await self.write_figures(summarising.fold, self._decided, most, now)

    summary = reading(summarising.summary)
    enrolled_per_hour = reading(summarising.enrolled_per_hour)
    measured = reading(summarising.measured)
    conclude = writing_figures(summarising.conclude)
    result = reading(summarising.result)
    results = reading(summarising.results)

    config_version = reading(config_version)
    newcomers = reading(newcomers)

    chunk = reading(auditing.chunk)
    event_ledger = reading(auditing.event_ledger)
    event_chunk = reading(auditing.event_chunk)
    experiment_records = reading(auditing.experiment_records)
    device = reading(auditing.device)

    extent = reading(exporting.extent)
    rows = reading(exporting.rows)

    note_process = noting(upkeep.note_process)
    remove_process = noting(upkeep.remove_process)
    note_backup = noting(upkeep.note_backup)
    boot = noting(upkeep.boot)
    boots = reading(upkeep.boots)

    require_empty = reading(copying.require_empty)
    note_verified = writing(copying.note_verified)

    async def forget(self, tokens: Sequence[str], app: str = DEFAULT_APP, by: By = PROGRAM) -> int:
        """See ErasureStore.forget."""
        id, forgotten = await self.read(cataloguing.app_id, app), 0
        for token in (scoped(id, each) for each in tokens):
            if found := await self.read(erasing.counted, token):
                forgotten += await self.write_all(erasing.forget, token, app, by, clock.now(), *found)
            else:
                forgotten += await self.write_all(erasing.forget_test_device, token, app, by, clock.now())
        await self.finish_forgetting()
        return forgotten

    async def finish_forgetting(self) -> bool:
        """See ErasureStore.finish_forgetting."""
        unfinished = False
        while device := await self.read(erasing.erasing):
            unfinished = True
            await self.write_all(erasing.erase, device)
            await asyncio.sleep(PAUSE_SECONDS)  # so that others get the lock
        return unfinished
