"""Starts and finishes experiments at their times, for the worker."""

from collections.abc import Callable

from abtest import clock
from abtest.domain import DEFAULT_APP, WORKER, Change, Experiment, Status
from abtest.errors import Conflict
from abtest.language import late_end, late_start
from abtest.store import Due, ExperimentStore


async def keep_schedule(store: ExperimentStore, say: Callable[[str], None]) -> None:
    """Start and finish the experiments that are due, the earliest first, and `say` so. Each is a transaction."""
    for due in await store.due(clock.now()):
        try:
            done = await store.change(due.key, _rule(due), clock.now(), due.app, by=WORKER)
        except Conflict:  # a person or another worker was faster
            continue
        name = due.key if due.app == DEFAULT_APP else f"{due.key} of the app {due.app}"
        if due.status is Status.RUNNING:
            say(f"started {name} {late_start(done) or 'as planned'}")
        else:
            say(f"finished {name} {late_end(done) or 'as planned'}")


def _rule(due: Due) -> Callable[[Experiment], Change]:
    def rule(experiment: Experiment) -> Change:
        if due.status is Status.RUNNING:
            is_due = experiment.status is Status.DRAFT and experiment.start_at == due.at
        else:
            is_due = experiment.status in {Status.RUNNING, Status.PAUSED} and experiment.end_at == due.at
        if not is_due:
            raise Conflict(f"the experiment {due.key} was changed meanwhile")
        return Change(status=due.status)

    return rule
