"""The Python driver with a defect: a client does not take over the events of its earlier starts."""

import runpy
from pathlib import Path

import abtest_client

abtest_client._Folder.names = lambda *_: []  # type: ignore[method-assign]
runpy.run_path(str(Path(__file__).with_name("driver.py")))
