"""The life of experiments: which change is allowed when."""

from abtest.management.experiments import DEMO, ExperimentService, ask_direction, parse_toml

__all__ = [
    "DEMO",
    "ExperimentService",
    "ask_direction",
    "parse_toml",
]
