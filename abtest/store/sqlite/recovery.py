"""Making backups, which are checked before they get their name, and restoring them."""

import os
import shutil
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from abtest import clock
from abtest.domain import By
from abtest.errors import StorageError
from abtest.store.audit import AuditStore
from abtest.store.sqlite import backup
from abtest.store.sqlite.backup import Progress
from abtest.store.sqlite.driver import log_of
from abtest.store.sqlite.store import SQLiteStore

Audit = Callable[[AuditStore], Awaitable[tuple[int, Sequence[str]]]]
"""Returns how many devices a store has, and its findings; none when the store is sound."""
KEPT = ".before-"
NOTHING_CHANGED = "; nothing was changed"


async def back_up(store: SQLiteStore, file: Path, progress: Progress, audit: Audit, now: int) -> int:
    """Write a checked copy of the database as it is now; returns how many devices it has.

    The file appears complete or not at all, and contains `now` as the time of the backup. `progress` gets the pages
    done and the pages in all. Raises StorageError: the file already exists or can't be written, or the copy is
    damaged.
    """
    if file.exists():
        raise StorageError(f"{file} already exists; choose another name", code="file_exists")
    partial = Path(f"{file}.partial")
    try:
        _discard(partial)  # a killed backup may have left it, with a log
        await store.copy(partial, progress)
        devices = await _checked(partial, f"the backup {file}", audit, lambda copy: copy.note_backup(now))
        backup.seal(partial)
        partial.replace(file)
        backup.flush(file)
    except OSError as error:
        raise StorageError(f"cannot write the backup {file}: {os.strerror(error.errno or 0)}") from error
    finally:
        _discard(partial)
    return devices


async def restore(file: Path, target: Path, audit: Audit, by: By) -> tuple[int, Path | None]:
    """Replace the database with a backup; returns how many devices it has, and where the old file is kept, if any.

    Raises StorageError, and changes nothing, when the file is not a sound backup, when the database is in use, or
    when the database is missing but its log exists.
    """
    target = target.resolve()
    arriving = Path(f"{target}.restoring")
    kept = Path(f"{target}{KEPT}{clock.moment(clock.now()):%Y%m%dT%H%M%S%f}") if target.exists() else None
    _discard(arriving)
    try:
        with _nothing_changed(file, arriving):
            if not file.is_file():
                raise StorageError(f"there is no file {file}")
            if log_of(file).exists():
                raise StorageError(f"{file} is no backup: it has a log, as a database in use has; use a backup of it")
            backup.require_unused(target)
            shutil.copyfile(file, arriving)
            devices = await _checked(arriving, str(file), audit, lambda copy: copy.mark_restored(clock.now(), by))
            backup.seal(arriving)
            backup.require_unused(target)
        backup.put_in_place(arriving, target, kept or target)
    except BaseException:
        _discard(arriving)
        raise
    return devices, kept


async def _checked(path: Path, name: str, audit: Audit, mark: Callable[[SQLiteStore], Awaitable[None]]) -> int:
    """Check a copy, delete what it still has of forgotten devices, and mark it; returns how many devices it has."""
    store = SQLiteStore(path)
    try:
        await store.open(migrate=True, create=False)
        damage = await store.check()
        devices, findings = await audit(store)
        if damage or findings:
            raise StorageError(f"{name} is damaged: {[*damage, *findings][0]}", code="damaged")
        await store.finish_forgetting()
        await mark(store)
        return devices
    except RuntimeError as error:  # tables that every schema has are missing or different
        raise StorageError(f"{name} is damaged: {error}", code="damaged") from error
    finally:
        await store.close()


def kept_files(target: Path) -> list[Path]:
    """The old databases that restores keep beside the present one; the oldest first."""
    target = target.resolve()
    return sorted(target.parent.glob(f"{escape(target.name)}{KEPT}*"))


@contextmanager
def _nothing_changed(file: Path, copied: Path) -> Iterator[None]:
    """Turn errors about the copy into errors about the given file, which say that nothing was changed."""
    try:
        yield
    except StorageError as error:
        message = str(error).replace(str(copied.resolve()), str(file)).removesuffix(NOTHING_CHANGED)
        raise StorageError(f"{message}{NOTHING_CHANGED}", error.code) from error
    except OSError as error:
        raise StorageError(f"cannot restore {file}: {os.strerror(error.errno or 0)}{NOTHING_CHANGED}") from error


def _discard(path: Path) -> None:
    for each in (path, *(Path(f"{path}{suffix}") for suffix in ("-wal", "-shm", "-journal", ".lock"))):
        with suppress(FileNotFoundError, NotADirectoryError):
            each.unlink()
