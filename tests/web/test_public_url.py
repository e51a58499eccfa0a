"""Links begin with the public URL, whatever address their maker asked."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec import structs

from abtest.domain import Role
from abtest.errors import InvalidSetting
from abtest.management import DEMO
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from tests.conftest import Client, Run, serving
from tests.web.programs import program, said
from tests.web.visitors import signed_in

PUBLIC = "https://ab.example.com/ab"
SETTINGS = Settings(public_url=PUBLIC, base_path="/ab")


@asynccontextmanager
async def server(store: SQLiteStore, public_url: str) -> AsyncIterator[Client]:
    settings = structs.replace(SETTINGS, database=f"sqlite:///{store.path}", public_url=public_url)
    async with serving(store, settings) as client:
        yield client


@pytest.mark.parametrize("public_url", [PUBLIC, f"{PUBLIC}/"])
async def test_programs_and_people_on_any_address_get_links_that_all_can_open(
    store: SQLiteStore, public_url: str
) -> None:
    await store.add(DEMO, 1)
    async with server(store, public_url) as client:
        ci = await program(client, store, Role.ADMIN)
        made = [
            said(await ci.send("POST", path, body))["link"]
            for path, body in (
                ("/people", {"name": "ben", "role": "editor"}),
                ("/people/ben/link", None),
                ("/experiments/price/shared-links", {}),
            )
        ]
        anna = await signed_in(client, store)
        for path in ("/people", "/experiments/price/shared-links"):
            await anna.get(path)
            page = (await anna.post(path, name="eve", role="viewer", note="")).body.decode()
            made += re.findall('value="(http[^"]+)" readonly', page)
    assert [link.rpartition("/")[0] for link in made] == [
        f"{PUBLIC}/{path}" for path in ("sign-in/link", "sign-in/link", "shared", "sign-in/link", "shared")
    ]


def test_commands_print_links_that_all_can_open(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("experiments", "add", "price", "--variant", "5=1", "--variant", "10=1")
    monkeypatch.setenv("ABTEST_BASE_PATH", "/ab")
    monkeypatch.setenv("ABTEST_PUBLIC_URL", f"{PUBLIC}/")
    adding, linking = ("people", "add", "anna", "--role", "admin"), ("people", "link", "anna")
    for command in (adding, linking):
        assert run(*command).stdout.startswith(f"{PUBLIC}/sign-in/link/")
    assert run("shared-links", "add", "price").stdout.startswith(f"{PUBLIC}/shared/")
    assert run(*linking, "--url", "http://10.0.0.1/ab/").stdout.startswith("http://10.0.0.1/ab/sign-in/link/")
    monkeypatch.setenv("ABTEST_PUBLIC_URL", "ab.example.com")
    assert isinstance(run(*linking).exception, InvalidSetting)


@pytest.mark.parametrize(
    ("public_url", "told"),
    [
        ("ab.example.com", "public-url: must look like"),
        ("ftp://ab.example.com/ab", "public-url: must look like"),
        ("https://ab.example.com/ab?a", "public-url: must look like"),
        ("https://me:secret@ab.example.com/ab", "public-url: must look like"),
        ("https://ab.example.com:port/ab", "public-url: Port could not be cast"),
        ("https://ab.example.com", "public-url: must end with ABTEST_BASE_PATH, which is /ab"),
    ],
)
def test_what_is_no_public_url_ends_the_start(run: Run, public_url: str, told: str) -> None:
    with pytest.raises(InvalidSetting, match=told):
        structs.replace(SETTINGS, public_url=public_url).check_public_url()
    assert isinstance(run("serve", "--base-path", "/ab", "--public-url", public_url).exception, InvalidSetting)
