"""Commands for operators: status, backup, restore, forget, db."""

from abtest.commands.operating import databases, recovering, status

COMMANDS = (*status.COMMANDS, *recovering.COMMANDS, *databases.COMMANDS)

__all__ = ["COMMANDS"]
