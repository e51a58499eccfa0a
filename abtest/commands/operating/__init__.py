"""Commands for operators: backup, restore, forget, db."""

from abtest.commands.operating import databases, recovering

COMMANDS = (*recovering.COMMANDS, *databases.COMMANDS)

__all__ = ["COMMANDS"]
