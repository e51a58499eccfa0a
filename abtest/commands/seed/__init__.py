"""seed: fake devices, and what they do."""

from abtest.commands.seed.command import COMMANDS

__all__ = ["COMMANDS"]
