"""The life of experiments: which change is allowed when."""

from abtest.management.experiments import DEMO, ExperimentService, Question, ask_direction, parse_toml

__all__ = [
    "DEMO",
    "ExperimentService",
    "Question",
    "ask_direction",
    "parse_toml",
]
