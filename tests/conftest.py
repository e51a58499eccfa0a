"""Fixtures: real files, real loops. pytest-tornasync runs `async def` tests on the `io_loop` fixture."""

import asyncio
import warnings
from collections.abc import Iterator

import pytest
from tornado.ioloop import IOLoop

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it was written for pytest 5: two old marks, one old decorator
    from pytest_tornasync import plugin as tornasync

for hook in (tornasync.pytest_pycollect_makeitem, tornasync.pytest_pyfunc_call):
    hook.__dict__.pop("pytestmark", None)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(tornasync, "tornasync-adapted")


@pytest.fixture
def io_loop() -> Iterator[IOLoop]:
    """A loop of its own for each test, never the "current" one."""
    asyncio_loop = asyncio.new_event_loop()
    loop = IOLoop(asyncio_loop=asyncio_loop, make_current=False)
    yield loop
    loop.close(all_fds=True)
