"""Making an experiment on its page, over real HTTP, as a browser without scripts does."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec import structs

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import Attributes, Role
from abtest.domain.experiments import Status
from abtest.management import AppService, ExperimentService, GroupService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client, serving
from tests.scenes import ANNA, experiment, tokens
from tests.web.pages.test_handlers import Outline, words
from tests.web.visitors import PASSWORD, Visitor, person, signed_in

HOSTILE = "\"><script>alert('1')</script>&lt;"
Fields = Mapping[str, str | list[str]]
TYPED: Fields = {
    "key": "button",
    "description": "Does green sell more?",
    "value": ["#FF0000", "green"],
    "weight": ["50", "50"],
    "baseline": "1",
    "kind": ["conversion"],
    "event": ["purchase"],
    "days": [""],
    "direction": ["more"],
    "begin": "draft",
}


@pytest.fixture
def app(store: SQLiteStore, tmp_path: Path) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{tmp_path}/abtest.db")))


async def editor(client: Client, store: SQLiteStore) -> Visitor:
    """Somebody who may edit, with the form open."""
    visitor = await signed_in(client, store, Role.EDITOR)
    await visitor.get("/new-experiment")
    return visitor


async def send(visitor: Visitor, do: str, typed: Fields, path: str = "/new-experiment") -> tuple[int, str]:
    """The status and the page that somebody gets who typed this and pressed that button."""
    answer = await visitor.post(path, None, do=do, **{**TYPED, **typed})
    return answer.code, answer.body.decode()


def entered(html: str, name: str) -> list[str]:
    """What is in the fields of this name."""
    return re.findall(rf'<input id="{name}[^>]* name="{name}"[^>]* value="([^"]*)"', html)


async def test_an_experiment_is_made_as_it_was_typed(client: Client, store: SQLiteStore) -> None:
    visitor = await editor(client, store)
    answer = await visitor.post("/new-experiment", None, do="save", **TYPED)
    assert (answer.code, visitor.led(answer)) == (303, "/experiments/button added")
    made = await ExperimentService(store, by=ANNA).one("button")
    assert (made.status, made.values, made.description) == (Status.DRAFT, ("#FF0000", "green"), TYPED["description"])
    assert [str(metric) for metric in made.metrics] == ["conversion:purchase"]
    assert "The experiment is added, as a draft." in (await visitor.get(answer.headers["Location"])).body.decode()


async def test_it_can_start_at_once_or_at_a_time_and_end_by_itself(client: Client, store: SQLiteStore) -> None:
    visitor, experiments = await editor(client, store), ExperimentService(store, by=ANNA)
    answer = await visitor.post("/new-experiment", None, do="save", **{**TYPED, "begin": "now"})
    assert answer.headers["Location"] == "/experiments/button"
    assert (await experiments.one("button")).status is Status.RUNNING
    times = {"begin": "at", "start_at": "2090-01-01T09:00", "end_at": "2090-02-01T09:00", "stop_at": "600"}
    assert (await visitor.post("/new-experiment", None, do="save", **{**TYPED, **times, "key": "later"})).code == 303
    made = await experiments.one("later")
    assert made.start_at is not None
    assert clock.iso(made.start_at) == "2090-01-01T09:00:00Z"
    assert (made.status, made.phase.stop_at) == (Status.DRAFT, 600)


async def test_nothing_that_was_typed_is_lost_when_something_is_wrong(client: Client, store: SQLiteStore) -> None:
    await store.add([experiment("price", "1", "1")], clock.now())
    typed: Fields = {
        "key": "price",
        "description": HOSTILE,
        "value": [HOSTILE, "", "c"],
        "weight": ["50", "", "x"],
        "attribute": ["platform", "country"],
        "operator": ["=", "!="],
        "wanted": ["ios", HOSTILE],
        "coverage": "20%",
        "end_at": "soon",
        "planned": HOSTILE,
    }
    status, html = await send(await editor(client, store), "save", typed)
    assert status == 422
    Outline(html)
    assert "<script>alert" not in html
    escaped = "&#34;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;lt;"
    assert entered(html, "value") == [escaped, "", "c"]
    assert entered(html, "weight") == ["50", "", "x"]
    assert entered(html, "wanted") == ["ios", escaped]
    assert (entered(html, "coverage"), entered(html, "planned")) == (["20%"], [escaped])
    assert f"{escaped}</textarea>" in html
    assert re.findall(r'<li><a href="#([^"]+)">', html.split("</section>")[0]) == [
        "key",
        "weight-3",
        "planned",
        "end_at",
    ]
    for field in ("key", "weight-3", "planned", "end_at"):
        assert re.search(rf'id="{field}"[^>]* aria-invalid="true" aria-describedby="[^"]*{field}-fault"', html)
        assert f'id="{field}-fault"' in html
    assert "The experiment price exists already." in html


async def test_what_the_store_alone_can_refuse_is_said_beside_its_field(client: Client, store: SQLiteStore) -> None:
    await GroupService(store, by=ANNA).add("screen")
    full = structs.replace(experiment("first", "1", "1"), group="screen", group_share=experiment("x", "1").coverage)
    await store.add([full], clock.now())
    status, html = await send(await editor(client, store), "save", {"group": "screen", "group_share": "40%"})
    assert status == 422
    assert '<a href="#group_share">Share in the group</a>: The group screen has only 0% left, not 40%.' in html
    status, html = await send(await editor_again(client), "save", {"group": "nothing", "group_share": "40%"})
    assert status == 404
    assert '<a href="#group">Group</a>' in html
    assert await ExperimentService(store, by=ANNA).all() == await store.experiments()
    assert len(await store.experiments()) == 1


async def editor_again(client: Client) -> Visitor:
    visitor = Visitor(client)
    await visitor.sign_in("anna")
    await visitor.get("/new-experiment")
    return visitor


async def test_rows_come_and_go_without_a_script(client: Client, store: SQLiteStore) -> None:
    visitor = await editor(client, store)
    _, html = await send(visitor, "add-variants", {})
    assert entered(html, "value") == ["#FF0000", "green", ""]
    _, html = await send(
        visitor, "remove-variants-1", {"value": ["a", "b", "c"], "weight": ["1", "2", "3"], "baseline": "3"}
    )
    assert entered(html, "value") == ["b", "c"]
    assert re.search(r'id="baseline-2"[^>]* checked', html)
    _, html = await send(visitor, "add-audience", {"attribute": ["country"], "operator": ["!="], "wanted": ["DE"]})
    assert entered(html, "wanted") == ["DE", ""]
    assert '<option value="country" selected>' in html
    _, html = await send(visitor, "add-metrics", {})
    assert entered(html, "event") == ["purchase", ""]
    assert await store.experiments() == []


async def test_there_are_at_most_twenty_variants(client: Client, store: SQLiteStore) -> None:
    visitor = await editor(client, store)
    values = [str(place) for place in range(20)]
    status, html = await send(visitor, "add-variants", {"value": values, "weight": ["1"] * 20})
    assert (status, entered(html, "value")) == (200, values)
    assert re.search(r'value="add-variants" hidden', html)


async def test_the_preview_says_what_comes_of_it_and_stores_nothing(client: Client, store: SQLiteStore) -> None:
    said = {
        token: Attributes((("platform", "ios" if place % 3 else "android"),))
        for place, token in enumerate(tokens("phone", 600))
    }
    await store.enrol(list(said), clock.now(), said)
    fields: Fields = {
        "value": ["#FF0000", "green", "blue"],
        "weight": ["1", "1", "1"],
        "attribute": ["platform"],
        "operator": ["="],
        "wanted": ["ios"],
        "coverage": "50%",
        "base": "5",
        "effect": "20",
        "per_day": "600",
    }
    visitor = await editor(client, store)
    _, html = await send(visitor, "preview", fields)
    shown = words(html.partition('<aside id="preview"')[2])
    assert "#FF0000 200 33.3% green 200 33.3% blue 200 33.3%" in shown
    assert "New devices whose platform is ios. Its coverage takes 50% of these devices." in shown
    assert "Of the last 600 new devices, 400 (66.7%) are in this audience." in shown
    assert "8,143 devices per variant, 24,429 in all, find a difference of +20%" in shown
    assert "123 days if 200 new devices a day take part." in shown
    assert "GET /api/v1/experiments?platform=ios" in shown
    assert "{&#34;button&#34;:&#34;#FF0000&#34;}" in shown
    _, part = await send(visitor, "preview", fields, "/new-experiment/preview")
    assert "<html" not in part
    assert words(part).strip() in shown
    _, html = await send(visitor, "preview", {**fields, "per_day": "60000"})
    assert "7 days if 20,000 new devices a day take part." in words(html)
    _, html = await send(visitor, "plan", fields)
    assert entered(html, "planned") == ["24429"]
    assert await store.experiments() == []


async def test_todays_traffic_is_filled_in(client: Client, store: SQLiteStore) -> None:
    await store.enrol(tokens("phone", 70), clock.now())
    visitor = await editor(client, store)
    assert entered((await visitor.get("/new-experiment")).body.decode(), "per_day") == ["70"]


async def test_a_form_at_first_is_short_and_asks_for_a_key_and_two_values(client: Client, store: SQLiteStore) -> None:
    html = (await (await editor(client, store)).get("/new-experiment")).body.decode()
    Outline(html)
    assert "Enter a key and two values to see the preview." in html
    assert "To correct" not in html
    assert "<details open" not in html


async def test_what_is_folded_opens_when_it_has_content_or_a_fault(client: Client, store: SQLiteStore) -> None:
    visitor = await editor(client, store)
    for fields in ({"type": "number"}, {"coverage": "20%"}, {"planned": "600"}, {"stop_at": "0"}):
        _, html = await send(visitor, "save", {**fields, "key": "No"})
        assert html.count("<details open>") == 1, fields


async def test_an_experiment_can_be_made_like_another(client: Client, store: SQLiteStore) -> None:
    like = experiment(
        "price", "75", "25", metrics=["amount:purchase/14d", "conversion:refund less"], audience=["platform=ios,web"]
    )
    await store.add([structs.replace(like, baseline="price-1", planned=600, description="more?")], clock.now())
    visitor = await editor(client, store)
    html = (await visitor.get("/new-experiment?like=price")).body.decode()
    assert entered(html, "key") == [""]
    assert entered(html, "value") == ["price-0", "price-1"]
    assert entered(html, "weight") == ["75", "25"]
    assert re.search(r'id="baseline-2"[^>]* checked', html)
    assert (entered(html, "event"), entered(html, "days")) == (["purchase", "refund"], ["14", ""])
    assert (entered(html, "wanted"), entered(html, "planned")) == (["ios, web"], ["600"])
    assert (await visitor.get("/new-experiment?like=nothing")).code == 404


async def test_every_app_has_its_own_form(client: Client, store: SQLiteStore) -> None:
    await AppService(store, by=ANNA).add("staging")
    await store.add([experiment("button", "1", "1")], clock.now())
    visitor = await editor(client, store)
    answer = await visitor.post("/apps/staging/new-experiment", None, do="save", **TYPED)
    assert answer.headers["Location"] == "/apps/staging/experiments/button"
    assert [each.key for each in await store.experiments("staging")] == ["button"]


async def test_only_who_may_edit_gets_it_and_only_with_the_token_of_a_form(
    client: Client, store: SQLiteStore
) -> None:
    viewer = await signed_in(client, store, Role.VIEWER, name="vera")
    assert (await viewer.get("/new-experiment")).code == 403
    for path in ("/new-experiment", "/new-experiment/preview"):
        assert (await viewer.post(path, None, do="save", **TYPED)).code == 403
        assert (await Visitor(client).post(path, None, do="save", **TYPED)).code == 401
    visitor = await editor(client, store)
    visitor.token = "wrong"
    assert (await visitor.post("/new-experiment", None, do="save", **TYPED)).code == 403
    assert await store.experiments() == []


async def test_who_may_edit_finds_the_form_from_the_dashboard_and_from_an_experiment(
    client: Client, store: SQLiteStore
) -> None:
    visitor = await editor(client, store)
    viewer = await signed_in(client, store, Role.VIEWER, name="vera")
    assert (
        '<a class="button main" href="/new-experiment">New experiment</a>' in (await visitor.get("/")).body.decode()
    )
    await store.add([experiment("price", "1", "1")], clock.now())
    for path, link in (("/", "/new-experiment"), ("/experiments/price", "/new-experiment?like=price")):
        assert f'href="{link}"' in (await visitor.get(path)).body.decode()
        assert "new-experiment" not in (await viewer.get(path)).body.decode()


async def test_it_all_lies_under_the_base_path(store: SQLiteStore) -> None:
    async with serving(store, Settings(database=f"sqlite:///{store.path}", base_path="/abtest")) as client:
        await person(store, "anna", Role.EDITOR)
        visitor = Visitor(client)
        await visitor.get("/abtest/sign-in")
        await visitor.post("/abtest/sign-in", None, name="anna", password=PASSWORD)
        html = (await visitor.get("/abtest/new-experiment")).body.decode()
        assert 'action="/abtest/new-experiment" method="post" data-preview="/abtest/new-experiment/preview"' in html
        answer = await visitor.post("/abtest/new-experiment", None, do="save", **TYPED)
        assert answer.headers["Location"] == "/abtest/experiments/button"
        html = (await visitor.get("/abtest/experiments/button/edit")).body.decode()
        assert 'action="/abtest/experiments/button/edit"' in html
