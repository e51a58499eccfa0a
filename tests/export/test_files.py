"""A file is complete or not there."""

from pathlib import Path

import pytest

from abtest.errors import StorageError
from abtest.export import new_file


def test_a_file_gets_its_name_when_it_is_complete(tmp_path: Path) -> None:
    with new_file(tmp_path / "devices.csv") as file:
        file.write(b"device\r\n")
        assert not (tmp_path / "devices.csv").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["devices.csv"]
    assert (tmp_path / "devices.csv").read_bytes() == b"device\r\n"


def test_a_failed_export_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "devices.csv") as file:
        file.write(b"device\r\n")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "devices.csv"
    file.write_text("mine")
    with pytest.raises(StorageError, match="already exists"), new_file(file):
        raise AssertionError
    with pytest.raises(StorageError, match="already exists"), new_file(tmp_path / "other.csv"):
        (tmp_path / "other.csv").write_text("somebody else's")
    assert file.read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file or directory"), new_file(tmp_path / "none" / "devices.csv"):
        raise AssertionError
