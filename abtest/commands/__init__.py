"""The click commands, a file per group."""


def main() -> None:
    """The command line; its commands come with the services that they call."""
    raise SystemExit("no command yet")
