"""Files that appear complete or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from abtest.errors import StorageError


@contextmanager
def new_file(file: Path) -> Iterator[BinaryIO]:
    """What the block writes becomes a new file, if the block ends without an error.

    Raises StorageError, for example when there is a file of this name already.
    """
    partial = Path(f"{file}.{os.getpid()}.partial")
    try:
        _require_new(file)
        with partial.open("wb") as opened:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        _require_new(file)
        partial.rename(file)
    except OSError as error:
        raise StorageError(f"cannot write {file}: {os.strerror(error.errno or 0)}") from error
    finally:
        partial.unlink(missing_ok=True)


def _require_new(file: Path) -> None:
    if file.exists():
        raise StorageError(f"{file} already exists; choose another name", code="file_exists")
