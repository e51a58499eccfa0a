"""The Makefile, as typed; nothing of it is run."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("variables", "arguments", "port"),
    [
        ({}, (), "8080"),
        ({"ABTEST_PORT": "7000"}, (), "7000"),
        ({"ABTEST_PORT": "7000"}, ("PORT=9000",), "9000"),
    ],
)
def test_a_port_that_is_given_to_make_wins(variables: dict[str, str], arguments: tuple[str, ...], port: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {"PORT", "ABTEST_PORT"}}
    shown = subprocess.run(
        ["make", "--dry-run", "run", *arguments],
        env=environment | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f'ABTEST_PORT="{port}" exec .venv/bin/abtest up' in shown.stdout
