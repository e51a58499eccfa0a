"""What is installed is all that is needed, and nothing that is not."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("abtest", "templates"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(folder)],
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_has_every_module_page_and_sql_file(names: set[str]) -> None:
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "abtest").rglob("*") if path.is_file()}
    code = {name for name in code if "__pycache__" not in name}
    pages = {f"abtest/templates/{path.name}" for path in (ROOT / "templates").glob("*.html")}
    assert code | pages <= names


def test_the_wheel_claims_no_name_but_its_own(names: set[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"abtest"}
