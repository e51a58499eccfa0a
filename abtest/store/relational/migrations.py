"""The numbered SQL files of a store, and which schemas this program can work with."""

from importlib import resources

from abtest.errors import StorageError


def numbered_files(room: str) -> list[tuple[int, str]]:
    """Number and SQL of every migration of the store in this room, in order."""
    found = [entry for entry in (resources.files(room) / "sql").iterdir() if entry.name.endswith(".sql")]
    return sorted((int(entry.name[:4]), entry.read_text(encoding="utf-8")) for entry in found)


def refuse_other(name: str, found: int, newest: int, migrate: bool) -> None:
    """Raises StorageError for a schema that is newer than the program's, and for an older one unless `migrate`."""
    if found > newest:
        raise StorageError(
            f"{name} has schema {found}, but this program knows only up to {newest}: install a newer abtest",
            code="newer_schema",
        )
    if found < newest and not migrate:
        raise StorageError(
            f"{name} has schema {found}, but this program needs {newest}: run 'abtest db migrate'",
            code="older_schema",
        )
