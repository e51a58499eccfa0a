"""What people made: apps, experiments, groups, holdouts and test devices."""

from abtest.store.sqlite.cataloguing.app_rows import RAISE_CONFIG_VERSION, add_app, app_id, apps
from abtest.store.sqlite.cataloguing.experiment_rows import add, alter, change, experiment, experiments, join, leave

__all__ = [
    "RAISE_CONFIG_VERSION",
    "add",
    "add_app",
    "alter",
    "app_id",
    "apps",
    "change",
    "experiment",
    "experiments",
    "join",
    "leave",
]
