"""What a power cut may leave: states built from a recording of all changes of the database files.

A change that was synced is there. A change that was not may be there, be missing, or be there in part: then each
piece of 512 bytes is kept or lost by itself. The -shm file is memory and never survives. The names of files are as
they were when the folder was last synced, or as they were after some of the later changes, in their order.
"""

import random
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct, field

HEADER = struct.Struct("=BBHIq")
OPEN, WRITE, TRUNCATE, UNLINK, SYNC_BEGINS, SYNC_ENDS, ACKNOWLEDGED = range(1, 8)
DATABASE, WAL, FOLDER = range(1, 4)
SUFFIX = {DATABASE: "", WAL: "-wal"}
SECTOR = 512


class Record(Struct, frozen=True):
    """One record of the log. `offset`: see shim.c."""

    kind: int
    file: int
    offset: int
    data: bytes


class File(Struct, eq=False):
    """The durable bytes of a file, and the changes since then, numbered in their order."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, Record]] = field(default_factory=list)


@contextmanager
def acknowledgements(log: Path) -> Iterator[Callable[[str, bytes], None]]:
    """A function to call when a device has its answer; it writes the answer into the log."""
    with log.open("ab", buffering=0) as file:

        def note(token: str, body: bytes) -> None:
            data = msgspec.json.encode([token, body.decode()])
            file.write(HEADER.pack(ACKNOWLEDGED, 0, 0, len(data), 0) + data)

        yield note


def records(log: Path) -> list[Record]:
    """The records of the log."""
    data = log.read_bytes()
    found, at = [], 0
    while at + HEADER.size <= len(data):
        kind, file, _, length, offset = HEADER.unpack_from(data, at)
        at += HEADER.size
        found.append(Record(kind, file, offset, data[at : at + length]))
        at += length
    return found


def syncing(log: Path) -> bool:
    """Whether the last record is the beginning of a sync."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - HEADER.size))
        last = file.read(HEADER.size)
    return len(last) == HEADER.size and HEADER.unpack(last)[0] == SYNC_BEGINS


class Disk:
    """The watched files, first as they were before the recording; then the recorded changes are applied to them."""

    def __init__(self, database: bytes) -> None:
        whole = File(durable=bytearray(database))
        self._names: dict[int, File] = {DATABASE: whole}
        self._durable_names: dict[int, File] = {DATABASE: whole}
        self._pending_names: list[tuple[int, int, File | None]] = []
        self._syncing: dict[int, int] = {}
        self._number = 0

    def apply(self, record: Record) -> None:
        """Apply one more change."""
        self._number += 1
        if record.kind == OPEN and record.file != FOLDER and record.file not in self._names:
            self._name(record.file, File())
        elif record.kind == UNLINK:
            del self._names[record.file]
            self._name(record.file, None)
        elif record.kind in (WRITE, TRUNCATE):
            self._names[record.file].pending.append((self._number, record))
        elif record.kind == SYNC_BEGINS:
            self._syncing[record.offset] = self._number
        elif record.kind == SYNC_ENDS:
            self._synced(record.file, self._syncing.pop(record.offset))

    def unsynced(self, file: int) -> int:
        """How many changes of this file a power cut would undo."""
        return len(self._names[file].pending) if file in self._names else 0

    def after_power_loss(self, chance: random.Random) -> dict[int, bytes]:
        """The contents of the files that a power cut leaves, chosen at random."""
        names = dict(self._durable_names)
        kept = chance.randint(0, len(self._pending_names))
        for _, name, file in self._pending_names[:kept]:
            if file is None:
                names.pop(name, None)
            else:
                names[name] = file
        return {name: _content(file, chance) for name, file in names.items()}

    def _name(self, name: int, file: File | None) -> None:
        if file is not None:
            self._names[name] = file
        self._pending_names.append((self._number, name, file))

    def _synced(self, name: int, upto: int) -> None:
        if name == FOLDER:
            while self._pending_names and self._pending_names[0][0] < upto:
                _, changed, file = self._pending_names.pop(0)
                if file is None:
                    self._durable_names.pop(changed, None)
                else:
                    self._durable_names[changed] = file
            return
        file = self._names[name]
        for number, record in file.pending:
            if number < upto:
                _change(file.durable, record)
        file.pending = [each for each in file.pending if each[0] >= upto]


def _content(file: File, chance: random.Random) -> bytes:
    content = bytearray(file.durable)
    if not file.pending:
        return bytes(content)
    way = chance.choice(("dropped", "prefix", "reordered", "torn", "torn"))
    kept = chance.randint(0, len(file.pending))
    likely = chance.choice((0.1, 0.5, 0.9))
    for place, (_, record) in enumerate(file.pending):
        if (way == "prefix" and place < kept) or (way == "reordered" and chance.random() < likely):
            _change(content, record)
        elif way == "torn":
            for part in _sectors(record):
                if chance.random() < likely:
                    _change(content, part)
    return bytes(content)


def _sectors(record: Record) -> Iterator[Record]:
    if record.kind == TRUNCATE:
        yield record
        return
    at = 0
    while at < len(record.data):
        size = SECTOR - (record.offset + at) % SECTOR
        yield Record(WRITE, record.file, record.offset + at, record.data[at : at + size])
        at += size


def _change(content: bytearray, record: Record) -> None:
    if record.kind == TRUNCATE:
        size = record.offset
        if size < len(content):
            del content[size:]
        else:
            content.extend(bytes(size - len(content)))
        return
    if record.offset > len(content):
        content.extend(bytes(record.offset - len(content)))
    content[record.offset : record.offset + len(record.data)] = record.data


def lay_out(content: dict[int, bytes], database: Path) -> None:
    """Write the files of a state, and delete all others of the database."""
    for found in database.parent.glob(f"{database.name}*"):
        found.unlink()
    for name, data in content.items():
        Path(f"{database}{SUFFIX[name]}").write_bytes(data)
