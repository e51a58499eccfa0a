"""The examples of docs/api.md work as they are shown."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from abtest.bootstrap import wired
from abtest.domain import Role
from abtest.management import AccessTokenService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import ANNA

PAGE = Path(__file__).parents[4] / "docs" / "api.md"
ADDRESS = "http://127.0.0.1:8080"
SECRET = "abt_"
VOLATILE = {"created_at", "made_at", "first_seen", "phases", "number", "link", "link_expires_at"}


def examples() -> list[tuple[list[str], str]]:
    """The words of every `curl` in the part about administration, and what is shown below it."""
    text = re.split(
        r"^## ", PAGE.read_text("utf-8").split("\n## Administration\n")[1], maxsplit=1, flags=re.MULTILINE
    )[0]
    lines = "".join(re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)).splitlines()
    found: list[tuple[list[str], str]] = []
    for line in lines:
        if line.startswith("$ curl "):
            found.append((shlex.split(line)[2:], ""))
        else:
            words, shown = found[-1]
            found[-1] = (words, shown + line)
    return found


def asked(words: list[str], secret: str) -> tuple[str, str, dict[str, str], str | None]:
    """Method, path, headers and body of a `curl`."""
    method, path, headers, body = "", "", dict[str, str](), None
    rest = iter(words)
    for word in rest:
        match word:
            case "-X":
                method = next(rest)
            case "-H":
                name, _, value = next(rest).partition(": ")
                headers[name] = value.replace("$TOKEN", secret)
            case "-d":
                body = next(rest)
            case _:
                assert word.startswith(ADDRESS), word
                path = word.removeprefix(ADDRESS)
    return method or ("GET" if body is None else "POST"), path, headers, body


def steady(document: Any) -> Any:
    """Without what is another in each database."""
    if isinstance(document, list):
        return [steady(each) for each in document]
    if isinstance(document, dict):
        return {name: None if name in VOLATILE else steady(value) for name, value in document.items()}
    return SECRET if str(document).startswith(SECRET) else document


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


async def test_the_examples_work_as_they_are_shown(client: Client, store: SQLiteStore) -> None:
    _, secret = await AccessTokenService(store).add("ci", Role.ADMIN, by=ANNA)
    assert len(examples()) > 5
    for words, shown in examples():
        method, path, headers, body = asked(words, secret)
        options: dict[str, Any] = {"headers": headers, "body": body, "allow_nonstandard_methods": True}
        answer = await client.fetch(path, method=method, **options)
        assert answer.code < 300, f"{words}: {answer.body!r}"
        if shown:
            assert steady(json.loads(answer.body)) == steady(json.loads(shown)), words
