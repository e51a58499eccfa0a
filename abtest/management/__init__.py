"""The life of experiments, groups and holdouts: which change is allowed when. And test devices, and apps."""

from abtest.management.applying import Proposal
from abtest.management.apps import AppService, app_option
from abtest.management.declared import as_declared, parse_declared, parse_toml, write_toml
from abtest.management.describing import described
from abtest.management.experiments import DEMO, ExperimentService, Question, ask_direction
from abtest.management.groups import GroupService, HoldoutService
from abtest.management.scheduling import keep_schedule
from abtest.management.test_devices import TestDeviceService

__all__ = [
    "DEMO",
    "AppService",
    "ExperimentService",
    "GroupService",
    "HoldoutService",
    "Proposal",
    "Question",
    "TestDeviceService",
    "app_option",
    "as_declared",
    "ask_direction",
    "described",
    "keep_schedule",
    "parse_declared",
    "parse_toml",
    "write_toml",
]
