"""The life of experiments, groups and holdouts: which change is allowed when."""

from abtest.management.declared import parse_toml
from abtest.management.experiments import DEMO, ExperimentService, Question, ask_direction
from abtest.management.groups import GroupService, HoldoutService

__all__ = [
    "DEMO",
    "ExperimentService",
    "GroupService",
    "HoldoutService",
    "Question",
    "ask_direction",
    "parse_toml",
]
