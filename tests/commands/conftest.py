"""Commands are run on both stores, unless a test says that it needs SQLite."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from abtest.commands import abtest
from abtest.settings import DATABASE
from tests.conftest import Run


@pytest.fixture(params=["sqlite", "postgres"])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line as typed, in its own folder, on a database that is missing or empty."""
    monkeypatch.chdir(tmp_path)
    if request.param != "sqlite":
        database = "bare_database" if request.param == "bare postgres" else "database"
        monkeypatch.setenv(DATABASE.variable, request.getfixturevalue(database))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(abtest, arguments)

    return run
