"""The counts that processes share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from abtest.web.monitoring import COUNTS_FOLDER, FILE_BYTES, counts_folder

COUNT = """
import resource
limit = int({limit})
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from abtest.web.monitoring import Monitoring
monitoring = Monitoring()
monitoring.refused("busy")
print(monitoring._refused.labels("busy")._value.get())
"""


@pytest.mark.parametrize(("limit", "kept"), [(FILE_BYTES, FILE_BYTES), (4_096, 0)])
def test_the_files_of_counts_are_allocated_or_not_used(tmp_path: Path, limit: int, kept: int) -> None:
    environment = os.environ | {COUNTS_FOLDER: str(tmp_path)}
    line = [sys.executable, "-c", COUNT.format(limit=limit)]
    counted = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
    assert counted.stdout == "1.0\n"
    assert ("the counts of only one process" in counted.stderr) is not bool(kept)
    taken = {path.name.partition("_")[0]: path.stat().st_blocks * 512 for path in tmp_path.iterdir()}
    assert sum(taken.values()) >= 3 * kept


def test_the_folders_of_killed_servers_are_removed_and_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed, other = tmp_path / "abtest-counts-killed", tmp_path / "something-else"
    for folder in (killed, other):
        folder.mkdir()
        (folder / "counter_1.db").write_bytes(b"counts")
        os.utime(folder, (0, 0))
    with counts_folder() as first:
        os.utime(first, (0, 0))
        assert {path.name for path in tmp_path.iterdir()} == {"something-else", Path(first).name}
        with counts_folder() as second:
            assert {Path(first).name, Path(second).name} < {path.name for path in tmp_path.iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == ["something-else"]
