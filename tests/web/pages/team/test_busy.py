"""What people read when nothing can be stored, and what stays of what they typed."""

import fcntl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from abtest.settings import Settings
from tests.conftest import serving
from tests.scenes import experiment, opened
from tests.web.visitors import PASSWORD, Visitor, signed_in

AGAIN = '<a class="button" href="">Try again</a>'


@asynccontextmanager
async def impatient(path: Path) -> AsyncIterator[Visitor]:
    """An admin of a server that waits for other writers for a moment only."""
    async with opened(path, patience=0.05) as store, serving(store, Settings()) as client:
        await store.add([experiment("color", "1", "1")], 1)
        yield await signed_in(client, store)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program writes meanwhile."""
    with Path(f"{path}.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/people", {"name": "somebody"}),
        ("/access-tokens", {"name": "nightly", "expires": "2100-01-01"}),
        ("/apps", {"key": "staging"}),
        ("/experiments/color/shared-links", {"note": "for the board"}),
    ],
)
async def test_what_was_typed_is_kept_when_it_can_not_be_stored(
    tmp_path: Path, path: str, fields: dict[str, str]
) -> None:
    async with impatient(tmp_path / "abtest.db") as admin:
        await admin.get(path)
        with locked(tmp_path / "abtest.db"):
            answer = await admin.post(path, None, role="viewer", **fields)
        body = answer.body.decode()
        assert (answer.code, answer.headers["Retry-After"]) == (503, "1")
        assert "Another program has kept the database locked for 0.05 s; try again." in body
        assert [value for value in fields.values() if f'value="{value}"' not in body] == []
        assert (await admin.post(path, None, role="viewer", **fields)).code < 400


async def test_who_can_not_be_signed_in_may_try_again(tmp_path: Path) -> None:
    async with impatient(tmp_path / "abtest.db") as admin:
        browser = Visitor(admin.client)
        await browser.get("/sign-in")
        with locked(tmp_path / "abtest.db"):
            answer = await browser.post("/sign-in", name="anna", password=PASSWORD)
        assert (answer.code, 'value="anna"' in answer.body.decode()) == (503, True)
        assert (await browser.post("/sign-in", name="anna", password=PASSWORD)).code == 303


async def test_who_signs_out_is_signed_out_in_this_browser_whatever_happens(tmp_path: Path) -> None:
    async with impatient(tmp_path / "abtest.db") as admin:
        await admin.get("/")
        with locked(tmp_path / "abtest.db"):
            refused = await admin.post("/sign-out")
        assert (refused.code, "<h1>Not possible right now</h1>" in refused.body.decode()) == (503, True)
        assert AGAIN not in refused.body.decode()  # a browser would ask for a page that there is not
        assert (await admin.get("/account")).code == 401


async def test_a_page_that_can_not_be_made_now_can_be_asked_for_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store, serving(store, Settings()) as client:
        admin = await signed_in(client, store)
        await store.close()
        for path in ("/people", "/shared/secret"):
            refused = await admin.get(path)
            assert (refused.code, AGAIN in refused.body.decode()) == (503, True)
