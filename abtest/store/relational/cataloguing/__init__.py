"""What people made: apps, experiments, groups, holdouts and test devices."""

from abtest.store.relational.cataloguing.app_rows import RAISE_CONFIG_VERSION, add_app, app_id, apps
from abtest.store.relational.cataloguing.change_rows import add, alter, change, join, leave
from abtest.store.relational.cataloguing.experiment_rows import experiment, experiments
from abtest.store.relational.cataloguing.schedule_rows import due
from abtest.store.relational.cataloguing.settled_rows import settled
from abtest.store.relational.cataloguing.test_device_rows import (
    add_test_device,
    remove_test_device,
    test_device,
    test_devices,
    tested,
)

__all__ = [
    "RAISE_CONFIG_VERSION",
    "add",
    "add_app",
    "add_test_device",
    "alter",
    "app_id",
    "apps",
    "change",
    "due",
    "experiment",
    "experiments",
    "join",
    "leave",
    "remove_test_device",
    "settled",
    "test_device",
    "test_devices",
    "tested",
]
