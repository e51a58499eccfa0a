"""The page that explains a device: only its own form may ask, and the token is nowhere but in the body."""

import re
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tornado.httpclient import HTTPResponse

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import read_attributes
from abtest.management import GroupService, HoldoutService
from abtest.management.experiments import ExperimentService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import ANNA, answers, experiment, tokens
from tests.web.pages.test_handlers import words

DASH = "\N{EN DASH}"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def app(store: SQLiteStore, tmp_path: Path) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{tmp_path}/abtest.db")))


async def explained(client: Client, token: str) -> HTTPResponse:
    """What the form gives for a token."""
    form = await client.fetch("/why")
    cookie = form.headers["Set-Cookie"].partition(";")[0]
    found = re.search(r'name="_xsrf" value="([^"]+)"', form.body.decode())
    assert found
    body = urlencode({"_xsrf": found[1], "token": token})
    return await client.fetch("/why", method="POST", body=body, headers={"Cookie": cookie, "Content-Type": FORM})


async def test_a_device_is_explained(client: Client, store: SQLiteStore) -> None:
    await store.add([experiment("color", "1"), experiment("paused", "1", "1")], clock.now())
    await ExperimentService(store, by=ANNA).pause("paused")
    said = read_attributes([("platform", "ios"), ("country", "DE")])
    await store.enrol(["first", "person"], clock.now(), {"person": said})
    await store.add([experiment("later", "1", "1")], clock.now())
    answer = await explained(client, "person")
    shown = words(answer.body.decode())
    assert answer.code == 200
    assert "Device 2 in the order of first requests" in shown
    assert "country DE platform ios" in shown
    assert "color color-0 Drawn as number 2 of phase 1" in shown
    assert f"paused {DASH} The experiment was paused when the device was first seen" in shown
    assert f"later {DASH} First seen before the experiment was created" in shown


async def test_a_token_that_nobody_has_is_said_and_not_repeated(client: Client) -> None:
    for token, status, text in (
        ("stranger", 404, "No device has asked for its experiments with this token."),
        ("with space", 400, "Device-Token must be 1 to 128 visible ASCII characters"),
        ("", 400, "Device-Token must be"),
    ):
        answer = await explained(client, token)
        assert (answer.code, text in words(answer.body.decode())) == (status, True)
        assert not token or token not in answer.body.decode()


async def test_only_the_form_of_this_server_may_ask(client: Client, store: SQLiteStore) -> None:
    await answers(store, ["person"])
    for headers in ({}, {"Cookie": "_xsrf=a"}):
        body = urlencode({"token": "person", "_xsrf": "b"})
        answer = await client.fetch("/why", method="POST", body=body, headers=headers | {"Content-Type": FORM})
        assert answer.code == 403
        assert "first seen" not in answer.body.decode().lower()
    cookie = (await client.fetch("/why")).headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


async def test_a_test_device_is_called_one_first(client: Client, store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1"), experiment("price", "1", "1", draft=True)], clock.now())
    note = "<b>Anna's</b>"
    await store.add_test_device("phone", {"price": "price-1"}, note, clock.now(), by=ANNA)
    shown = words((await explained(client, "phone")).body.decode())
    assert "A test device (&lt;b&gt;Anna&#39;s&lt;/b&gt;, made by anna on " in shown
    assert "): gets the values chosen by hand; never counted Experiment Value price price-1" in shown
    assert "first requests" not in shown
    await store.remove_test_device("phone", clock.now())
    await answers(store, ["phone"])
    await store.add_test_device("phone", {}, "", clock.now(), by=ANNA)
    shown = words((await explained(client, "phone")).body.decode())
    assert "No value was chosen, so it gets none. It is also device 1 in the order of first requests" in shown
    assert "It gets these values again once it is no longer a test device. Experiment Value Why color color-" in shown


async def test_no_copy_of_an_explanation_is_kept(client: Client, store: SQLiteStore) -> None:
    await answers(store, ["person"])
    answer = await explained(client, "person")
    assert (answer.headers["Cache-Control"], "person" in answer.body.decode()) == ("no-store", False)


async def test_holdouts_and_groups_stand_before_the_experiments(client: Client, store: SQLiteStore) -> None:
    await HoldoutService(store, by=ANNA).add("year", Decimal("0.01"))
    await GroupService(store, by=ANNA).add("screen")
    await store.add([experiment("banner", "1", "1")], 1)
    await GroupService(store, by=ANNA).join("screen", "banner", Decimal(1))
    await answers(store, tokens("a", 1))
    page = (await explained(client, "a-0")).body.decode()
    told = re.findall(r'<th scope="col">(Holdout|Group|Experiment)</th>', page)
    assert told == ["Holdout", "Group", "Experiment"]
    assert 'href="/groups/screen"' in page
