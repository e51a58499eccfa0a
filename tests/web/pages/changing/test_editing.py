"""Changing an experiment on its page, over real HTTP; and what two people do at once."""

import html as escaping
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import structs

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import By, Experiment, Hand, Role
from abtest.management import AppService, ExperimentService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import ANNA, answers, experiment, tokens
from tests.web.pages.test_handlers import Outline, words
from tests.web.visitors import Visitor, signed_in

HIDDEN = re.compile(r'<input type="hidden" (?:form="experiment" )?name="([a-z_]+)" value="([^"]*)">')
TEXT = re.compile(
    r'<input id="[a-z_]+(?:-\d+)?" name="([a-z_]+)" type="(?:text|datetime-local)"[^>]*? value="([^"]*)"'
)
CHOSEN = re.compile(r'<select id="[^"]+" name="([a-z]+)".*?<option value="([^"]*)" selected>', re.DOTALL)
CHECKED = re.compile(r'<input type="radio" [^>]*name="([a-z]+)"[^>]* value="([^"]*)"[^>]* checked')
AREA = re.compile(r'<textarea [^>]*name="(description)"[^>]*>([^<]*)</textarea>')
BEN = By(Hand.PERSON, "ben", "192.0.2.8")
Fields = Mapping[str, str | list[str]]


@pytest.fixture
def app(store: SQLiteStore, tmp_path: Path) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{tmp_path}/abtest.db")))


def sent(html: str) -> dict[str, str | list[str]]:
    """What a browser sends of a form as it was loaded."""
    found: dict[str, list[str]] = {}
    for pattern in (HIDDEN, TEXT, CHOSEN, CHECKED, AREA):
        for name, text in pattern.findall(html):
            found.setdefault(name, []).append(escaping.unescape(text))
    del found["_xsrf"]
    return dict(found)


async def editor(
    client: Client, store: SQLiteStore, key: str = "price"
) -> tuple[Visitor, dict[str, str | list[str]]]:
    """Somebody who may edit, and what is in the form of the experiment."""
    visitor = await signed_in(client, store, Role.EDITOR)
    return visitor, sent((await visitor.get(f"/experiments/{key}/edit")).body.decode())


async def save(visitor: Visitor, fields: Fields, key: str = "price", do: str = "save") -> tuple[int, str]:
    """The status and the page, or where that leads."""
    answer = await visitor.post(f"/experiments/{key}/edit", None, do=do, **fields)
    return answer.code, visitor.led(answer) if answer.code == 303 else answer.body.decode()


async def price(store: SQLiteStore, devices: int = 0) -> Experiment:
    """An experiment with so many devices."""
    (made,) = await store.add([experiment("price", "1", "1", metrics=["amount:purchase"])], clock.now())
    await answers(store, tokens("phone", devices))
    return made


async def one(store: SQLiteStore, key: str = "price") -> Experiment:
    return await ExperimentService(store, by=ANNA).one(key)


async def test_several_things_are_changed_at_once(client: Client, store: SQLiteStore) -> None:
    await price(store)
    visitor, fields = await editor(client, store)
    fields |= {"description": "more?", "event": ["purchase", "refund"], "kind": ["amount", "conversion"]}
    fields |= {"days": ["14", ""], "direction": ["more", "less"], "baseline": "2", "planned": "600"}
    assert await save(visitor, fields) == (303, "/experiments/price edited")
    changed = await one(store)
    assert (changed.description, changed.baseline, changed.planned) == ("more?", "price-1", 600)
    assert list(map(str, changed.metrics)) == ["amount:purchase/14d", "conversion:refund less"]
    said = [(await visitor.get("/experiments/price")).body.decode().count("The changes are saved.") for _ in range(2)]
    assert said == [1, 0]


async def test_a_form_that_is_saved_as_it_was_loaded_changes_nothing(client: Client, store: SQLiteStore) -> None:
    full = experiment("price", "75", "25", metrics=["amount:purchase/14d", "conversion:refund less"], coverage="0.2")
    later = clock.now() + clock.DAY
    full = structs.replace(full, baseline="price-1", planned=600, audience=("platform=ios",), stop_at=700)
    full = structs.replace(full, start_at=later + 1, end_at=later + 30_001, description=' a "<b>" & more ')
    (made,) = await store.add([full], clock.now())
    visitor, fields = await editor(client, store)
    assert await save(visitor, fields) == (303, "/experiments/price unchanged")
    assert await one(store) == made


async def test_new_weights_say_that_they_begin_a_phase_before_they_are_saved(
    client: Client, store: SQLiteStore
) -> None:
    await price(store, 412)
    visitor, fields = await editor(client, store)
    status, html = await save(visitor, {**fields, "weight": ["3", "1"]})
    assert status == 200
    assert "This begins phase 2 412 devices keep their value. Nothing is saved yet" in words(html)
    assert len((await one(store)).phases) == 1
    assert await save(visitor, sent(html)) == (303, "/experiments/price edited")
    assert (await one(store)).phase.weights == (Decimal(3), Decimal(1))


async def test_who_saw_it_in_the_preview_saves_at_once(client: Client, store: SQLiteStore) -> None:
    await price(store, 412)
    visitor, fields = await editor(client, store)
    fields |= {"coverage": "50%"}
    answer = await visitor.post("/experiments/price/edit/preview", None, **fields)
    part = answer.body.decode()
    assert "New coverage begins phase 2: 50% (was 100%)" in words(part)
    assert "Begins phase 2 : 412 devices keep their value." in words(part)
    assert await save(visitor, {**fields, **dict(HIDDEN.findall(part))}) == (303, "/experiments/price edited")
    assert (await one(store)).phase.coverage == Decimal("0.5")


async def test_the_second_of_two_sees_what_the_first_changed_and_keeps_what_he_typed(
    client: Client, store: SQLiteStore
) -> None:
    await price(store)
    visitor, fields = await editor(client, store)
    by_ben = ExperimentService(store, by=BEN)
    await by_ben.edit(
        "price", {"description": "ben <b>asks</b>", "metrics": ["amount:purchase", "conversion:refund less"]}
    )
    await by_ben.reweight("price", coverage=Decimal("0.5"))
    status, html = await save(visitor, {**fields, "description": "anna asks", "planned": "600"})
    assert status == 412
    Outline(html)
    said = words(html)
    assert "Somebody else changed it meanwhile, so nothing was saved" in said
    assert "Description none ben &lt;b&gt;asks&lt;/b&gt; ben just now" in said
    assert "Metrics amount:purchase amount:purchase, conversion:refund less ben just now" in said
    assert "Coverage 100% 50% ben just now" in said
    assert "Description : It is ben &lt;b&gt;asks&lt;/b&gt; now; you typed anna asks." in said
    assert "192.0.2.8" not in said
    assert ((await one(store)).description, (await one(store)).planned) == ("ben <b>asks</b>", None)
    again = sent(html)
    assert (again["description"], again["planned"], again["coverage"]) == (["anna asks"], ["600"], ["50%"])
    assert await save(visitor, again) == (303, "/experiments/price edited")
    merged = await one(store)
    assert (merged.description, merged.planned, merged.phase.coverage) == ("anna asks", 600, Decimal("0.5"))
    assert len(merged.metrics) == 2


async def test_what_both_changed_is_unfolded_also_where_one_emptied_it(client: Client, store: SQLiteStore) -> None:
    await store.add([experiment("price", "1", "1", coverage="0.5")], clock.now())
    visitor, fields = await editor(client, store)
    await ExperimentService(store, by=BEN).reweight("price", coverage=Decimal("0.2"))
    status, html = await save(visitor, {**fields, "coverage": ""})
    assert status == 412
    assert "Coverage : It is 20% now; you typed nothing." in words(html)
    assert re.search(r"<details open>\s*<summary>Coverage and group", html)
    assert sent(html)["coverage"] == [""]


async def test_a_device_that_came_meanwhile_is_no_change(client: Client, store: SQLiteStore) -> None:
    await price(store)
    visitor, fields = await editor(client, store)
    await answers(store, ["another"])
    assert (await save(visitor, {**fields, "description": "more?"}))[0] == 303


async def test_one_that_was_finished_meanwhile_keeps_the_question_and_says_so(
    client: Client, store: SQLiteStore
) -> None:
    await price(store)
    visitor, fields = await editor(client, store)
    await ExperimentService(store, by=BEN).finish("price", "price-1", "it sells")
    typed: Fields = {"description": "more?", "weight": ["3", "1"], "stop_at": "600"}
    status, html = await save(visitor, {**fields, **typed})
    assert status == 412
    assert "it can't be changed any more: Stops at: 600 Weight 1: 3 " in words(html)
    assert "Status running finished ben just now" in words(html)
    assert 'name="weight"' not in html
    assert await save(visitor, sent(html)) == (303, "/experiments/price edited")
    assert (await one(store)).description == "more?"


async def test_what_was_no_field_when_the_form_was_loaded_was_not_typed(client: Client, store: SQLiteStore) -> None:
    await price(store, 5)
    experiments = ExperimentService(store, by=BEN)
    await experiments.edit("price", {"stop_at": 600})
    await experiments.finish("price")
    visitor, fields = await editor(client, store)
    await experiments.edit("price", {"description": "why?"})
    status, html = await save(visitor, fields)
    assert status == 412
    assert "What you typed here" not in words(html)
    assert await save(visitor, sent(html)) == (303, "/experiments/price unchanged")


async def test_what_cannot_be_changed_is_said_and_is_no_field(client: Client, store: SQLiteStore) -> None:
    await price(store, 5)
    visitor, fields = await editor(client, store)
    html = (await visitor.get("/experiments/price/edit")).body.decode()
    Outline(html)
    for name in ("key", "type", "value", "wanted", "planned", "start_at"):
        assert f'name="{name}"' not in html
    for why in (
        "apps ask for it",
        "a device keeps the value it got",
        "a device that was left out stays out",
        "it has devices",
    ):
        assert why in words(html)
    forged: Fields = {"key": "other", "type": "json", "value": ["a", "b"], "planned": "600", "wanted": ["ios"]}
    assert await save(visitor, {**fields, **forged}) == (303, "/experiments/price unchanged")
    assert [each.key for each in await store.experiments()] == ["price"]


async def test_a_fault_stands_beside_its_field_and_nothing_is_lost(client: Client, store: SQLiteStore) -> None:
    await price(store, 5)
    visitor, fields = await editor(client, store)
    typed: Fields = {"weight": ["x", "1"], "event": ["Buy It"], "end_at": "2020-01-01T00:00", "stop_at": "600"}
    status, html = await save(visitor, {**fields, **typed})
    assert status == 422
    assert re.findall(r'<li><a href="#([^"]+)">', html.split("</section>")[0]) == ["weight-1", "event-1"]
    assert sent(html)["weight"] == ["x", "1"]
    for stop, end, fault in (("600", "2020-01-01T00:00", "end_at"), ("3", "", "stop_at")):
        status, html = await save(visitor, {**fields, "stop_at": stop, "end_at": end})
        assert status == 422
        assert re.findall(r'<li><a href="#([^"]+)">', html.split("</section>")[0]) == [fault]
    assert await one(store) == (await store.experiments())[0]


async def test_what_a_browser_made_up_is_seen_as_nothing(client: Client, store: SQLiteStore) -> None:
    await price(store)
    visitor, fields = await editor(client, store)
    for seen, entry in (("", "x"), ('{"texts":1}', "-1"), ("[", "9" * 40), ('{"texts":{},"rows":{}}', "")):
        status, _ = await save(visitor, {**fields, "revision": "old", "seen": seen, "entry": entry})
        assert status == 412


async def test_a_draft_can_be_told_when_to_start(client: Client, store: SQLiteStore) -> None:
    await store.add([experiment("price", "1", "1", draft=True)], clock.now())
    visitor, fields = await editor(client, store)
    assert (await save(visitor, {**fields, "begin": "at", "start_at": "2090-01-01T09:00"}))[0] == 303
    start = (await one(store)).start_at
    assert start is not None
    assert clock.iso(start) == "2090-01-01T09:00:00Z"
    fields = sent((await visitor.get("/experiments/price/edit")).body.decode())
    assert (await save(visitor, {**fields, "begin": "draft"}))[0] == 303
    assert (await one(store)).start_at is None


async def test_only_who_may_edit_gets_it_in_the_app_of_the_path(client: Client, store: SQLiteStore) -> None:
    await AppService(store, by=ANNA).add("staging")
    await price(store)
    viewer = await signed_in(client, store, Role.VIEWER, name="vera")
    for path in ("/experiments/price/edit", "/experiments/price/edit/preview"):
        assert (await viewer.post(path, None, do="save")).code == 403
    visitor, _ = await editor(client, store)
    assert (await visitor.get("/apps/staging/experiments/price/edit")).code == 404
    assert 'href="/experiments/price/edit"' in (await visitor.get("/experiments/price")).body.decode()
    assert "price/edit" not in (await viewer.get("/experiments/price")).body.decode()
