"""The pages on which people start, pause, resume, reweight, finish and archive experiments, over real HTTP."""

import re
from decimal import Decimal

import pytest

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import DEFAULT_APP, Experiment, Role, Sought, Status
from abtest.management import AppService, ExperimentService, GroupService, JournalService
from abtest.results import worker
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import ANNA, answers, experiment, tokens
from tests.web.pages.test_handlers import words
from tests.web.visitors import Visitor, signed_in

DASH = "\N{EN DASH}"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


async def one(store: SQLiteStore, key: str, app: str = DEFAULT_APP) -> Experiment:
    return await ExperimentService(store, app, by=ANNA).one(key)


async def text(visitor: Visitor, path: str) -> str:
    return words((await visitor.get(path)).body.decode())


async def act(visitor: Visitor, path: str, **fields: str) -> str:
    """Opens the form, fills it in and sends it; returns where it leads, or what the page says."""
    page = (await visitor.get(path)).body.decode()
    return await send(visitor, path, page, **fields)


async def send(visitor: Visitor, path: str, page: str, **fields: str) -> str:
    hidden = dict(re.findall(r'<input type="hidden" name="(revision|seen)" value="([^"]*)">', page))
    answer = await visitor.post(path, None, **hidden | fields)
    return visitor.led(answer) if answer.code == 303 else f"{answer.code} {words(answer.body.decode())}"


async def test_an_experiment_lives_its_life_in_the_browser(client: Client, store: SQLiteStore) -> None:
    anna = await signed_in(client, store, Role.EDITOR)
    await store.add([experiment("color", "1", "1", draft=True)], 1)
    assert "draft Start Archive Edit Duplicate" in await text(anna, "/experiments/color")
    await worker.tick(store)
    assert "A draft takes no devices. Start it when it is ready." in await text(anna, "/experiments/color")
    assert await act(anna, "/experiments/color/start") == "/experiments/color started"
    assert "Started: devices that make their first request from now on take part." in await text(
        anna, "/experiments/color"
    )
    assert await act(anna, "/experiments/color/pause") == "/experiments/color paused"
    assert await act(anna, "/experiments/color/resume") == "/experiments/color resumed"
    await answers(store, tokens("a", 12))
    assert "12 devices keep their value" in await text(anna, "/experiments/color/weights")
    weights = {"weight-0": "3", "weight-1": "1", "coverage": "50%", "stop_at": "100"}
    assert await act(anna, "/experiments/color/weights", **weights) == "/experiments/color reweighted"
    assert list((await one(store, "color")).phase.weights) == [3, 1]
    finished = await act(anna, "/experiments/color/finish", winner="1", because="it sells")
    assert finished == "/experiments/color finished"
    done = await one(store, "color")
    assert (done.winner, done.because, done.status) == ("color-1", "it sells", Status.FINISHED)
    assert "12 devices stop getting color" in await text(anna, "/experiments/color/archive")
    assert await act(anna, "/experiments/color/archive", key="color") == "/experiments/color"
    archived = await text(anna, "/experiments/color")
    assert archived.count("Archived") == archived.count("Archived: devices no longer get this key.") == 1
    entries = await JournalService(store).newest(Sought(about="color"), 6)
    assert {(each.by.name, each.by.kind) for each in entries} == {("anna", "person")}


async def test_who_only_looks_sees_no_button_and_is_refused(client: Client, store: SQLiteStore) -> None:
    ben = await signed_in(client, store, Role.VIEWER, name="ben")
    await store.add([experiment("color", "1", "1")], 1)
    page = (await ben.get("/experiments/color")).body.decode()
    assert ("/pause" in page, 'href="/why"' in page) == (False, False)
    for name in ("start", "pause", "resume", "weights", "finish", "archive"):
        assert (await ben.get(f"/experiments/color/{name}")).code == 403
        assert (await ben.post(f"/experiments/color/{name}", key="color", winner="none")).code == 403
    assert (await one(store, "color")).status is Status.RUNNING


async def test_what_somebody_else_changed_is_said_and_what_was_typed_is_kept(
    client: Client, store: SQLiteStore
) -> None:
    anna = await signed_in(client, store)
    await store.add([experiment("color", "1", "1")], 1)
    page = (await anna.get("/experiments/color/finish")).body.decode()
    await ExperimentService(store, by=ANNA).reweight("color", coverage=Decimal("0.5"))
    answer = await anna.post(
        "/experiments/color/finish",
        **dict(re.findall(r'name="(revision|seen)" value="([^"]*)"', page)),
        winner="1",
        because="my reason",
    )
    told = words(answer.body.decode())
    assert answer.code == 412
    assert "anna changed color: phase 2 (was 1), coverage 50% (was 100%), " in told
    assert "added color" not in told
    assert "my reason</textarea>" in answer.body.decode()
    assert 'value="1" required checked' in answer.body.decode()
    assert (await one(store, "color")).status is Status.RUNNING
    again = await send(anna, "/experiments/color/finish", answer.body.decode(), winner="1", because="my reason")
    assert again == "/experiments/color finished"


async def test_a_form_without_a_revision_does_nothing(client: Client, store: SQLiteStore) -> None:
    anna = await signed_in(client, store)
    await store.add([experiment("color", "1", "1")], 1)
    await anna.get("/experiments/color/pause")
    for seen in ("", "9" * 5000, "\N{ARABIC-INDIC DIGIT ONE}"):
        assert (await anna.post("/experiments/color/pause", seen=seen)).code == 412
    assert (await one(store, "color")).status is Status.RUNNING


async def test_what_the_status_does_not_allow_has_no_form(client: Client, store: SQLiteStore) -> None:
    anna = await signed_in(client, store)
    await store.add([experiment("color", "1", "1")], 1)
    answer = await anna.get("/experiments/color/resume")
    assert answer.code == 409
    assert "The experiment color is running." in words(answer.body.decode())
    assert 'method="post" action="/experiments' not in answer.body.decode()
    assert (await anna.post("/experiments/color/resume")).code == 409
    assert (await anna.get("/experiments/nothing/start")).code == 404


async def test_the_start_lists_what_is_ready_and_what_is_missing(client: Client, store: SQLiteStore) -> None:
    anna = await signed_in(client, store)
    await GroupService(store, by=ANNA).add("screen")
    for key in ("beside", "together"):
        await store.add([experiment(key, "1", "1")], clock.now())
    await store.add([experiment("elsewhere", "1", "1", audience=["platform=android"])], clock.now())
    draft = experiment("color", "1", "1", "0", draft=True, audience=["platform=ios"])
    await store.add([draft], clock.now())
    for key in ("together", "color"):
        await GroupService(store, by=ANNA).join("screen", key, Decimal("0.4"))
    told = await text(anna, "/experiments/color/start")
    assert f"{DASH} To look at: No metric, so there will be no verdict." in told
    assert f"{DASH} To look at: No number of devices is planned." in told
    assert f"{DASH} To look at: No device gets color-2: the weight is 0." in told
    assert f"{DASH} To look at: beside is running with the same devices." in told
    assert "Edit the experiment" in told
    assert "Start anyway" in told
    await ExperimentService(store, by=ANNA).measure("color", ["conversion:buy"], planned=100)
    await ExperimentService(store, by=ANNA).pause("beside")
    told = await text(anna, "/experiments/color/start")
    assert "✓ Ready: Judged by: Conversion of buy." in told
    assert "✓ Ready: Planned with 100 devices." in told
    assert "✓ Ready: No other running experiment takes the same devices." in told
    assert await act(anna, "/experiments/color/start") == "/experiments/color started"


async def test_an_end_that_has_passed_is_said_before_the_start(client: Client, store: SQLiteStore) -> None:
    anna = await signed_in(client, store)
    await store.add([experiment("color", "1", "1", draft=True, end_at=1)], 0)
    answer = await anna.get("/experiments/color/start")
    assert "UTC, has passed. Change it first." in words(answer.body.decode())
    assert 'type="submit">Start' not in answer.body.decode()


async def test_new_weights_are_shown_before_they_are_taken(client: Client, store: SQLiteStore) -> None:
    anna = await signed_in(client, store)
    await store.add([experiment("color", "1", "1")], 1)
    path, weights = "/experiments/color/weights", {"weight-0": "3", "weight-1": "1", "coverage": "50%"}
    first = (await anna.get(path)).body.decode()
    hidden = dict(re.findall(r'name="(revision|seen)" value="([^"]*)"', first))
    await ExperimentService(store, by=ANNA).pause("color")
    shown = (await anna.post(path, None, **hidden, **weights, preview="1")).body.decode()
    assert re.findall(r'id="part-\w+">([^<]*)<', shown) == ["225", "75", "300"]
    assert f'name="revision" value="{hidden["revision"]}"' in shown
    assert (await one(store, "color")).phase.number == 1
    for fields, message in (
        ({}, "Nothing would change"),
        ({"weight-0": "2", "weight-1": "2.0"}, "Nothing would change"),
        ({"weight-0": "x"}, "Weight of color-0: must be a decimal number"),
        ({"weight-0": "0", "weight-1": "0"}, "at least one weight must be above 0"),
        ({"coverage": "0"}, "Coverage: must be above 0%"),
        ({"stop_at": "1e5"}, "Stop at: must be a whole number"),
        ({"stop_at": "0"}, "must be from 1 device"),
    ):
        told = await act(anna, path, **fields)
        assert told.startswith("422")
        assert message in told


async def test_a_winner_is_chosen_with_what_the_figures_say(client: Client, store: SQLiteStore) -> None:
    anna = await signed_in(client, store)
    await store.add([experiment("color", "1", "1", metrics=["conversion:buy"])], 1)
    await ExperimentService(store, by=ANNA).measure("color", planned=600)
    await answers(store, tokens("a", 4))
    await worker.tick(store)
    told = await text(anna, "/experiments/color/finish")
    assert "Only 4 of the 600 planned devices have come" in told
    assert "color-0 the baseline new devices get it too color-1 not enough data new devices get it too" in told
    assert (await act(anna, "/experiments/color/finish")).startswith("422")
    assert (await act(anna, "/experiments/color/finish", winner="7")).startswith("422")
    assert await act(anna, "/experiments/color/finish", winner="none") == "/experiments/color finished"
    assert "finished Name a winner Archive Edit" in await text(anna, "/experiments/color")
    await act(anna, "/experiments/color/finish", winner="0")
    assert "finished Give a reason Archive" in await text(anna, "/experiments/color")
    await act(anna, "/experiments/color/finish", winner="0", because="later")
    assert "finished Archive" in await text(anna, "/experiments/color")
    assert (await one(store, "color")).because == "later"


async def test_only_the_typed_key_archives(client: Client, store: SQLiteStore) -> None:
    anna = await signed_in(client, store)
    await store.add([experiment("color", "1", "1")], 1)
    told = await act(anna, "/experiments/color/archive", key="colour")
    assert told.startswith("422")
    assert "Key: type color to confirm." in told
    assert (await one(store, "color")).status is Status.RUNNING


async def test_scripts_that_were_stored_stay_text(client: Client, store: SQLiteStore) -> None:
    anna = await signed_in(client, store)
    new = experiment("color", "1", "1", draft=True)
    await AppService(store, by=ANNA).add("staging")
    variants = tuple(type(each)(f"{SCRIPT}{each.value}", each.weight) for each in new.variants)
    await store.add([type(new)("color", variants, SCRIPT, draft=True)], 1, app="staging")
    for name in ("start", "archive"):
        answer = await anna.get(f"/apps/staging/experiments/color/{name}")
        assert (answer.code, "<script>alert" in answer.body.decode()) == (200, False)
    assert await act(anna, "/apps/staging/experiments/color/start") == "/apps/staging/experiments/color started"
    pages = [
        (await anna.get(f"/apps/staging/experiments/color/{name}")).body.decode() for name in ("weights", "finish")
    ]
    sent = await anna.post("/apps/staging/experiments/color/finish", winner="x", because=f"</textarea>{SCRIPT}")
    assert "<script>alert" not in "".join([*pages, sent.body.decode()])
