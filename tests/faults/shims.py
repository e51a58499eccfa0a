"""The preloaded library, compiled when it is needed, and its switches."""

import mmap
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
COMPILER = shutil.which("cc")
WITHOUT_COMPILER = "there is no C compiler (cc) for the library that plays a failing disk"

SWITCHES = struct.Struct("=qqqqq")
NAMES = ("clock_seconds", "sync_microseconds", "sync_fails", "die_at", "changes")


class Shim:
    """Switches in a mapped file, and the environment that makes a process obey them. See shim.c."""

    def __init__(self, folder: Path, database: Path, log: Path | None = None) -> None:
        """Compile the library into the folder. Raises CalledProcessError."""
        assert COMPILER, WITHOUT_COMPILER
        library = folder / "shim.so"
        if not library.exists():
            line = [COMPILER, "-O2", "-Wall", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
            subprocess.run(line, check=True)
        self.log = log
        if log is not None:
            log.touch()
        self._path = folder / f"switches-{len(list(folder.glob('switches-*')))}"
        self._path.write_bytes(bytes(SWITCHES.size))
        with self._path.open("r+b") as file:
            self._mapped = mmap.mmap(file.fileno(), SWITCHES.size)
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAULTS_DATABASE": str(database.resolve()),
            "FAULTS_SWITCHES": str(self._path),
        }
        if log is not None:
            self.environment["FAULTS_LOG"] = str(log)

    def set(self, name: str, value: int) -> None:
        """Set a switch; every process with this shim sees it at once."""
        struct.pack_into("=q", self._mapped, 8 * NAMES.index(name), value)

    def get(self, name: str) -> int:
        """The value of a switch or a counter."""
        (value,) = struct.unpack_from("=q", self._mapped, 8 * NAMES.index(name))
        return int(value)


@contextmanager
def in_memory(folder: Path) -> Iterator[Path]:
    """A folder in memory if possible, for thousands of small databases; else inside the given folder."""
    memory = Path("/dev/shm")
    path = (memory if memory.is_dir() else folder) / f"abtest-faults-{folder.name}-{id(folder)}"
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path)
