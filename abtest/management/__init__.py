"""The life of experiments: who may change what, and when."""

from abtest.management.experiments import DEMO, ExperimentService, ask_direction, parse_toml

__all__ = [
    "DEMO",
    "ExperimentService",
    "ask_direction",
    "parse_toml",
]
