"""OpenFeature's own clients, as they are published, ask this server."""

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason
from tornado.ioloop import IOLoop

from abtest.bootstrap import wired
from abtest.domain import Change, Status, Type
from abtest.domain.experiments import NewExperiment, Variant
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import experiment, new

SCRIPTS = Path(__file__).parent / "openfeature"
ANSWERED = {
    "a_string": "#FF0000",
    "a_number": 9.5,
    "a_boolean": True,
    "a_json": {"size": [1, 2]},
    "later": "default",
    "unknown": "default",
}
"""What a device has, and the defaults of the code beside it."""
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (SCRIPTS / "node_modules").is_dir(),
    reason="needs node, and the packages that `make packages` installs",
)
VALUES: dict[Type, tuple[str, str]] = {
    Type.STRING: ("#FF0000", "#00FF00"),
    Type.NUMBER: ("9.5", "10"),
    Type.BOOLEAN: ("true", "false"),
    Type.JSON: ('{"size":[1,2]}', "[]"),
}
"""The values of an experiment of each type; every device gets the first."""


@pytest.fixture
def store(tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStore]:
    store = SQLiteStore(new(tmp_path / "abtest.db"))
    io_loop.run_sync(store.open)
    experiments = [
        NewExperiment(key=f"a_{type}", type=type, variants=(Variant(first, Decimal(1)), Variant(other, Decimal(0))))
        for type, (first, other) in VALUES.items()
    ]
    io_loop.run_sync(lambda: store.add([*experiments, experiment("later", "1", "1", draft=True)], 1))
    yield store
    io_loop.run_sync(store.close)


@pytest.fixture
def app(store: SQLiteStore, settings: Settings) -> HotServer:
    return make_app(wired(store, settings))


@pytest.fixture
def python(client: Client) -> Iterator[Any]:
    """Evaluates a flag with the Python client, in a thread: it waits for its answers."""
    provider = OFREPProvider(client.address)
    api.set_provider(provider)
    flags = api.get_client()

    async def evaluate(kind: str, key: str, default: Any, token: str | None = "device") -> FlagEvaluationDetails[Any]:
        context = EvaluationContext(token, {"platform": "ios", "beta": True, "sizes": [1]})
        return await asyncio.to_thread(getattr(flags, f"get_{kind}_details"), key, default, context)

    yield evaluate
    provider.session.close()
    api.clear_providers()


async def test_python_gets_values_of_every_type(python: Any) -> None:
    for kind, key, default, value in (
        ("string", "a_string", "default", "#FF0000"),
        ("float", "a_number", 1.0, 9.5),
        ("boolean", "a_boolean", False, True),
        ("object", "a_json", {}, {"size": [1, 2]}),
    ):
        found = await python(kind, key, default)
        assert (found.value, found.reason, found.error_code) == (value, Reason.SPLIT, None)
    assert found.variant == '{"size":[1,2]}'


async def test_python_gets_the_default_of_the_code_without_a_value(python: Any) -> None:
    found = await python("string", "later", "default")
    assert (found.value, found.reason, found.error_code) == ("default", Reason.DEFAULT, None)
    found = await python("string", "unknown", "default")
    assert (found.value, found.error_code) == ("default", ErrorCode.FLAG_NOT_FOUND)
    found = await python("string", "a_string", "default", None)
    assert (found.value, found.error_code) == ("default", ErrorCode.TARGETING_KEY_MISSING)
    found = await python("string", "a_string", "default", "sp ace")
    assert (found.value, found.error_code) == ("default", ErrorCode.INVALID_CONTEXT)


@pytest.mark.parametrize("settings", [Settings(body_limit=1_024)])
async def test_python_gets_the_default_of_the_code_when_it_sends_too_much(python: Any) -> None:
    found = await python("string", "a_string", "default", "a" * 2_000)
    assert (found.value, found.error_code) == ("default", ErrorCode.GENERAL)


@needs_node
async def test_a_server_in_javascript_gets_values_and_defaults(client: Client) -> None:
    async with script("server.mjs", client.address, "device") as running:
        found = await said(running)
    assert {key: each["value"] for key, each in found.items()} == ANSWERED
    assert (found["a_json"]["reason"], found["a_json"]["variant"]) == ("SPLIT", '{"size":[1,2]}')
    assert found["unknown"]["errorCode"] == "FLAG_NOT_FOUND"


@needs_node
async def test_a_server_in_javascript_without_a_targeting_key_gets_defaults(client: Client) -> None:
    async with script("server.mjs", client.address) as running:
        found = await said(running)
    assert (found["a_string"]["value"], found["a_string"]["errorCode"]) == ("default", "TARGETING_KEY_MISSING")


@needs_node
async def test_a_browsers_client_polls_and_tells_of_a_change(
    client: Client, store: SQLiteStore, app: HotServer
) -> None:
    async with script("web.mjs", client.address, "device") as running:
        first = await said(running)
        assert {key: each["value"] for key, each in first.items()} == ANSWERED
        assert await said(running) == {"status": 304}
        await store.change("a_string", lambda _: Change(status=Status.ARCHIVED), 1)
        await app.enrolment.refresh()
        changed = await said(running)
    assert changed["changed"] == ["a_string"]
    assert changed["a_string"]["value"] == "default"
    assert changed["a_number"]["value"] == 9.5


@needs_node
async def test_a_browsers_client_without_a_targeting_key_fails(client: Client) -> None:
    async with script("web.mjs", client.address) as running:
        assert await said(running) == {"status": 400}
        assert await said(running) == {"failed": True}


@asynccontextmanager
async def script(name: str, *arguments: str) -> AsyncIterator[Process]:
    """A script of JavaScript that runs until its input ends."""
    running = await asyncio.create_subprocess_exec("node", SCRIPTS / name, *arguments, stdin=PIPE, stdout=PIPE)
    try:
        yield running
    finally:
        await running.communicate(b"")


async def said(running: Process) -> dict[str, Any]:
    """The next line that a script prints."""
    assert running.stdout
    found: dict[str, Any] = json.loads(await running.stdout.readline())
    return found
