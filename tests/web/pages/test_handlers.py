"""What people see, over real HTTP."""

import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import read_attributes
from abtest.domain.events import Event
from abtest.domain.experiments import Change, NewExperiment, Variant
from abtest.management.experiments import DEMO, ExperimentService
from abtest.results import worker
from abtest.settings import Settings
from abtest.store.relational.enrolling import profiles
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from abtest.web.pages.rendering import since
from tests.conftest import Client
from tests.results.test_judging import live
from tests.scenes import ANNA, answers, experiment, tokens
from tests.stores import only_in_sqlite

ELSEWHERE = re.compile(r'<a href="https://arxiv[.]org/abs/[0-9.]+">')
"""What a person may follow, and no page loads."""
PAGES = [
    "/",
    "/experiments/price",
    "/simulate",
    "/plan?base=5",
    "/why",
    "/demo",
    "/docs",
    "/nothing",
    "/experiments/nothing",
]
STREAMS = ["/simulate/run?devices=3", "/simulate/run?devices=x"]
VOID = {"meta", "link", "input", "br"}


@pytest.fixture
def store(each_store: Any) -> Any:
    """An empty database of each kind: pages show what either store gives."""
    return each_store


@pytest.fixture
def app(store: SQLiteStore, each_url: str) -> HotServer:
    return make_app(wired(store, Settings(database=each_url, demo="on")))


async def demo(store: SQLiteStore, devices: int = 600) -> None:
    """The demo experiments with so many devices, folded into the figures."""
    await store.add(DEMO, clock.now())
    await answers(store, tokens("device", devices))
    await worker.tick(store)


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/nothing", 404)])
async def test_a_word_of_what_was_done_that_is_no_text_says_nothing(client: Client, path: str, status: int) -> None:
    answer = await client.fetch(path, headers={"Accept": "text/html", "Cookie": "did=%ff"})
    assert (answer.code, b"</html>" in answer.body, b'role="status"' in answer.body) == (status, True, False)


async def page(client: Client, path: str = "/") -> str:
    answer = await client.fetch(path, headers={"Accept": "text/html"})
    assert answer.headers["Content-Type"] == "text/html; charset=UTF-8"
    return answer.body.decode()


def words(html: str) -> str:
    """The text that people read, with single spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def counts(html: str) -> list[int]:
    return [int(found) for found in re.findall(r'data-devices="(\d+)"', html)]


class Outline(HTMLParser):
    """Whether every element is closed where it must be, with the headings and the ids on the way."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]
        assert not {"style", "onclick"} & dict(attrs).keys()
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_without_an_experiment_the_dashboard_says_how_to_add_one(client: Client) -> None:
    empty = words(await page(client))
    assert "No experiments yet" in empty
    assert "abtest experiments add button_color" in empty


async def test_before_the_worker_ran_no_figure_is_shown(client: Client, store: SQLiteStore) -> None:
    await store.add(DEMO, clock.now())
    await answers(store, ["device"])
    for path in ("/", "/experiments/price"):
        shown = await page(client, path)
        assert "The stats worker has not run yet" in shown
        assert "no figures yet" in shown
        assert counts(shown) == []
        assert " 0 devices" not in words(shown)


async def test_old_figures_say_how_old_they_are(client: Client, store: SQLiteStore) -> None:
    await demo(store)
    assert "not running" not in await page(client)
    await store.fold(1, clock.now() - 2 * clock.HOUR)
    old = words(await page(client))
    assert "updated 2 hours ago" in old
    assert "the stats worker is not running" in old
    assert "600 devices" in old


@only_in_sqlite  # PostgreSQL is restored by its own tools
async def test_pages_of_a_restored_database_say_so(client: Client, store: SQLiteStore) -> None:
    await demo(store)
    assert "Restored" not in await page(client)
    await store.mark_restored(clock.now())
    for path in ("/", "/experiments/price"):
        assert "Restored from a backup just now . It contains devices first seen up to" in words(
            await page(client, path)
        )


async def test_the_dashboard_shows_the_exact_distribution(client: Client, store: SQLiteStore) -> None:
    await demo(store)
    shown = await page(client)
    assert counts(shown) == [200, 200, 200, 450, 60, 30, 60]
    assert "#FF0000 200 33.3% 33.3%" in words(shown)
    assert "50 30 5.0% 5.0%" in words(shown)
    assert words(shown).count("Exact shares") == 2
    assert 'fill="#00FF00"' in shown


async def test_a_count_that_is_wrong_is_said(client: Client, store: SQLiteStore) -> None:
    await demo(store)
    wrong = "UPDATE summary_variant SET devices = devices + 5 WHERE variant_id = 1"
    await store.write(lambda connection: connection.execute(wrong))
    assert "Not exact : a variant has more or fewer devices than its share allows" in words(await page(client))


async def test_every_status_has_its_words(client: Client, store: SQLiteStore) -> None:
    service = ExperimentService(store, by=ANNA)
    await store.add([experiment(key, "1", "1") for key in ("paused", "finished", "won", "archived")], clock.now())
    await store.add([experiment("drafted", "1", "1", draft=True)], clock.now())
    await worker.tick(store)
    await service.pause("paused")
    await service.finish("finished")
    await service.finish("won", "won-1")
    await service.archive("archived")
    shown = words(await page(client))
    assert "0 running 1 paused 2 finished 1 draft 1 archived" in shown
    assert "Winner: won-1 Decided by anna, just now Every new device gets it" in shown
    assert "Finished without a winner Decided by anna, just now" in shown
    assert "Start it with abtest experiments start drafted" in shown
    assert "archived-0" not in shown
    assert "archived-0" in await page(client, "/experiments/archived")


async def test_an_experiment_says_how_many_devices_it_excludes(client: Client, store: SQLiteStore) -> None:
    await store.enrol(tokens("early", 1234), clock.now())
    await demo(store, 600)
    shown = words(await page(client, "/experiments/price"))
    assert "Devices 600" in shown
    assert "Excluded 1,234 first seen before the experiment was created" in shown
    assert "Type number" in shown
    assert "Primary metric Amount of purchase" in shown


async def test_health_says_how_many_devices_are_kept_with_fewer_attributes(
    client: Client, store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await demo(store)
    assert "different attributes" not in await page(client, "/experiments/price")
    monkeypatch.setattr(profiles, "MOST_PROFILES", 0)
    await store.enrol(["a", "b"], clock.now(), dict.fromkeys(["a", "b"], read_attributes([("platform", "ios")])))
    await worker.tick(store)
    shown = words(await page(client, "/experiments/price"))
    assert "Some attributes of 2 devices were not kept : there are too many different combinations." in shown


async def test_each_phase_is_shown_with_its_own_counts(client: Client, store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], clock.now())
    await answers(store, tokens("first", 100))
    weights = [Variant("color-0", Decimal(1)), Variant("color-1", Decimal(3))]
    await ExperimentService(store, by=ANNA).reweight("color", weights)
    await answers(store, tokens("second", 100))
    await worker.tick(store)
    shown = await page(client, "/experiments/color")
    assert counts(shown) == [75, 125]
    assert "color-0 75 37.5% 37.5%" in words(shown)
    assert "phase 2 of 2" in words(shown)
    assert "It splits new devices 1 : 3." in words(shown)
    second, first = words(shown).index("color-1 3 75 75.0"), words(shown).index("color-1 1 50 50.0")
    assert second < first


async def test_enrolment_over_time_is_drawn_and_tabled(client: Client, store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], clock.now())
    for hour in (10, 12):
        await store.enrol(tokens(f"at-{hour}", hour), hour * clock.HOUR)
    await store.fold(22, 13 * clock.HOUR)
    shown = await page(client, "/experiments/color")
    assert "<title>1 Jan, 10:00: 10 devices</title>" in shown
    assert "1 Jan, 10:00 10 1 Jan, 12:00 12" in words(shown)
    assert "<span>1 Jan, 13:00</span></div>" in shown


async def test_hostile_words_are_shown_and_not_run(client: Client, store: SQLiteStore) -> None:
    script = "<script>alert(1)</script>"
    breaking = "\"'><img src=x onerror=alert(1)>"
    variants = (Variant(script, Decimal(1)), Variant(breaking, Decimal(1)), Variant("{{ 7 * 7 }}", Decimal(1)))
    hostile = NewExperiment(key="hostile", variants=variants, description=script)
    await ExperimentService(store, by=ANNA).add([hostile])
    await worker.tick(store)
    for path in ("/", "/experiments/hostile", "/simulate?devices=3"):
        shown = await page(client, path)
        assert "<script>alert" not in shown
        assert "<img" not in shown
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
        assert "{{ 7 * 7 }}" in shown


async def test_a_value_that_is_a_colour_has_a_swatch_and_what_only_begins_as_one_has_none(
    client: Client, store: SQLiteStore
) -> None:
    colours = ["#00FF00", "red", "rgb(255, 0, 0)", "hsl(120deg 100% 50% / 0.5)"]
    hostile = ['red"/><script>alert(1)</script>', "rgb(0,0,0);fill:url(//evil)", "url(#a)", "var(--page)"]
    variants = tuple(Variant(value, Decimal(1)) for value in colours + hostile)
    await ExperimentService(store, by=ANNA).add([NewExperiment(key="color", variants=variants)])
    for path in ("/", "/experiments/color", "/simulate?devices=8"):
        shown = await page(client, path)
        assert list(dict.fromkeys(re.findall('class="swatch".*? fill="([^"]*)"', shown))) == colours
        assert "<script>alert" not in shown


async def test_the_longest_of_everything_is_shown_in_full(client: Client, store: SQLiteStore) -> None:
    variants = tuple(Variant(f"{number:02}" + "x" * 254, Decimal(1)) for number in range(20))
    await ExperimentService(store, by=ANNA).add(
        [NewExperiment(key="k" * 64, variants=variants, description="d " * 500)]
    )
    await answers(store, tokens("device", 200))
    await worker.tick(store)
    shown = await page(client, "/experiments/" + "k" * 64)
    assert counts(shown) == [10] * 20
    assert all(variant.value in shown for variant in variants)


async def test_a_verdict_about_long_values_is_short_and_whole_in_its_title(
    client: Client, store: SQLiteStore
) -> None:
    values = ("v" * 254 + "10", "v" * 254 + "11")
    variants = tuple(Variant(value, Decimal(1)) for value in values)
    await store.add([NewExperiment(key="color", variants=variants, metrics=("conversion:purchase",))], 1)
    await live(store, "a", 4_000, dict(zip(values, (10, 20), strict=True)))
    await worker.tick(store)
    cut = f"{'v' * 24}…{'v' * 6}"
    for path in ("/", "/experiments/color"):
        shown = await page(client, path)
        assert f"{cut}11 beats {cut}10: conversion of purchase up by 100% (" in shown
        assert f"{values[1]} beats {values[0]}: conversion of purchase up by 100% (" in shown


async def test_whether_variants_differ_at_all_is_said_with_its_p_value(client: Client, store: SQLiteStore) -> None:
    variants = tuple(Variant(value, Decimal(1)) for value in "abc")
    await store.add([NewExperiment(key="color", variants=variants, metrics=("conversion:purchase",))], 1)
    for prefix, rates, said in (
        ("few", {"a": 10, "b": 10, "c": 10}, "p = 1"),
        ("many", {"a": 1, "b": 9, "c": 40}, "p &lt; 0.0001"),
    ):
        await live(store, prefix, 3_000, rates)
        await worker.tick(store)
        assert f"Do the variants differ at all? {said}" in words(await page(client, "/experiments/color"))


async def test_an_unknown_path_is_a_page_for_people_and_a_problem_for_programs(client: Client) -> None:
    browser = await client.fetch("/nothing", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (browser.code, browser.headers["Content-Type"]) == (404, "text/html; charset=UTF-8")
    assert "There is nothing at this path." in words(browser.body.decode())
    program = await client.fetch("/nothing", headers={"Accept": "application/json"})
    assert (program.code, program.headers["Content-Type"]) == (404, "application/problem+json")
    assert msgspec.json.decode(program.body)["code"] == "not_found"


async def test_an_unknown_experiment_is_a_page_that_leads_back(client: Client) -> None:
    answer = await client.fetch("/experiments/nothing")
    assert answer.code == 404
    assert "There is no experiment with this key." in words(answer.body.decode())
    assert '<a href="/">' in answer.body.decode()


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_guarded_and_well_formed(client: Client, store: SQLiteStore, path: str) -> None:
    await demo(store)
    answer = await client.fetch(path, headers={"Accept": "text/html"})
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    html = answer.body.decode()
    outline = Outline(html)
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.headings[0] == 1
    assert all(below <= above + 1 for above, below in zip(outline.headings, outline.headings[1:], strict=False))
    assert re.findall(r'(?:src|href)="(?![/#])[^"]*"', ELSEWHERE.sub("", html)) == []
    assert set(re.findall(r'href="#([^"]*)"', html)) <= set(outline.ids)
    assert re.findall(r"<script(?! src=)", html) == []


@pytest.mark.parametrize("path", [*PAGES, "/openapi.yaml", "/static/abtest.css", "/simulate?devices=3", *STREAMS])
async def test_head_answers_as_get_without_the_body(client: Client, store: SQLiteStore, path: str) -> None:
    await demo(store)
    head, got = await client.fetch(path, method="HEAD"), await client.fetch(path)
    assert (head.code, head.body) == (got.code, b"")
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert head.headers["Cache-Control"] == got.headers["Cache-Control"]


async def test_all_that_the_pages_refer_to_is_there(client: Client, store: SQLiteStore) -> None:
    await demo(store)
    pages = [ELSEWHERE.sub("", await page(client, path)) for path in PAGES]
    referred = {link for html in pages for link in re.findall(r'(?:src|href)="([^"]*)"', html)}
    assert {"/static/abtest.css", "/static/live.js", "/static/swagger-ui/swagger-ui-bundle.js"} < referred
    for link in sorted(referred):
        assert (await client.fetch(link)).code == 200


async def test_the_planner_is_a_form_without_an_answer_at_first(client: Client) -> None:
    shown = await page(client, "/plan")
    assert 'name="base" type="text" inputmode="decimal" maxlength="400" autocomplete="off" value="5"' in shown
    assert "in 4 of 5 tests" not in shown
    assert "<script" not in shown


async def test_the_planner_answers_in_a_sentence_and_a_table(client: Client) -> None:
    shown = words(await page(client, "/plan?base=5&effect=15%25&per_day=2000"))
    assert "14,178 devices per variant, 28,356 in all, find a difference of +15%" in shown
    assert "+10% 31,218 62,436 32 asked for: +15% 14,178 28,356 15 +20% 8,143 16,286 9 +50%" in shown
    assert "--metric conversion:EVENT --planned 28356" in shown


async def test_the_planner_says_what_devices_can_find_and_how_seldom(client: Client) -> None:
    shown = words(await page(client, "/plan?find=effect&devices=600&variants=3"))
    assert "With 600 devices, the smallest difference found in 4 of 5 tests is about +156%" in shown
    assert re.search(r"Effect Found with 600 .* \+20% 7\.2% 8,143 24,429 ", shown)


async def test_the_planner_knows_amounts_and_unequal_weights(client: Client) -> None:
    path = "/plan?metric=amount&mean=9.5&deviation=30&effect=-10&weights=75,+10,+5,+10"
    shown = words(await page(client, path))
    assert "a mean of 9.5 that becomes 8.55" in shown
    assert "Variant Weight Devices baseline 75 125,240 2 10 16,698 3 5 8,350 4 10 16,699" in shown


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("base=50&effect=200", "effect", "Smallest effect worth finding: +200% turns a rate of 50% into 150%"),
        ("base=0", "base", "Current rate: must be a rate between 0 and 100%"),
        ("base=nan", "base", "Current rate: must be a percentage, such as 5."),
        ("base=", "base", "Current rate: must be a percentage"),
        ("metric=amount", "mean", "Mean per device: must be a decimal number"),
        ("find=effect", "devices", "Devices in total: must be a whole number"),
        ("find=effect&devices=" + "9" * 400, "devices", "Devices in total: must be a whole number"),
        ("variants=1", "variants", "Variants: from 2 to 20"),
        ("weights=1+x", "weights", "Weights: number 2: must be a decimal number"),
        ("weights=1+0", "weights", "Weights: each must be above 0"),
        ("per_day=0", "per_day", "New devices per day: from 1 to"),
        ("power=100", "power", "Chance to find it: from 10% to 99.9%"),
        ("metric=x", "metric", "Metric: must be conversion or amount"),
    ],
)
async def test_what_can_not_be_planned_is_said_beside_the_form(
    client: Client, query: str, field: str, message: str
) -> None:
    answer = await client.fetch(f"/plan?{query}")
    html = answer.body.decode()
    assert answer.code == 422
    assert message in words(html)
    wrong = re.findall(r'name="(\w+)" [^>]*aria-invalid', html)
    assert wrong == ([] if field == "metric" else [field])


async def test_the_planner_keeps_what_was_entered_and_runs_none_of_it(client: Client) -> None:
    shown = await page(client, "/plan?base=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&effect=7&find=effect&devices=12")
    assert 'value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in shown
    assert "<script>alert" not in shown
    assert 'value="7"' in shown
    assert 'value="effect" checked' in shown


@pytest.mark.parametrize(
    "path",
    [
        "",
        "nothing.css",
        "../app.py",
        "%2e%2e/app.py",
        "%2e%2e/static/abtest.css",
        "swagger-ui",
        "swagger-ui/",
        "abtest.css/",
        "/abtest.css",
        "swagger-ui//swagger-ui.css",
        "%2fetc/passwd",
        "%00",
        "x" * 300,
    ],
)
async def test_what_is_not_a_static_file_is_not_there(client: Client, path: str) -> None:
    answer = await client.fetch(f"/static/{path}")
    assert (answer.code, b"not_found" in answer.body) == (404, True)


@pytest.mark.parametrize(
    ("hours", "text"), [(0, "just now"), (3, "3 hours ago"), (24 * 6, "6 days ago"), (24 * 7, "1 Jan 1970")]
)
def test_times_are_relative_while_they_are_recent_and_exact_in_the_title(hours: int, text: str) -> None:
    shown = since(0, now=hours * clock.HOUR)
    assert shown == f'<time datetime="1970-01-01T00:00:00Z" title="1970-01-01T00:00:00Z">{text}</time>'


async def test_what_the_test_of_a_plan_found_stands_beside_what_the_figures_say_today(
    client: Client, store: SQLiteStore
) -> None:
    """The devices came long ago, and 10 against 13% is too little for the interval that holds at any time."""
    variants = tuple(Variant(value, Decimal(1)) for value in ("A", "B"))
    new = NewExperiment(key="color", variants=variants, metrics=("conversion:purchase",), planned=4_000)
    await store.add([new], 1)
    await live(store, "a", 4_000, {"A": 10, "B": 13})
    await worker.tick(store)
    shown = words(await page(client, "/experiments/color"))
    assert "color B beats A: conversion of purchase up by 30% (" in shown
    assert "in the test at 4,000 devices" in shown
    assert "+30% in the test" in shown
    assert "Test at plan" in shown
    table = await client.fetch("/api/v1/experiments/color/results.csv")
    header, _, row = (line.split(",") for line in table.body.decode().splitlines())
    found = dict(zip(header, row, strict=True))
    assert (found["decided_by"], found["less_is_better"]) == ("at_plan", "false")
    assert float(found["safe_low"]) < 0 < float(found["at_plan_low"])


async def test_what_the_exact_test_found_stands_in_the_tables(client: Client, store: SQLiteStore) -> None:
    """Nobody can buy in B, and 30 of 300 do in A: too few for the other intervals, and enough for this one."""
    variants = tuple(Variant(value, Decimal(1)) for value in ("A", "B"))
    await store.add([NewExperiment(key="color", variants=variants, metrics=("conversion:purchase",))], 1)
    await live(store, "a", 600, {"A": 10, "B": 0})
    await worker.tick(store)
    shown = words(await page(client, "/experiments/color"))
    assert re.search(r"Exact test .*not enough data .79% or worse", shown)
    table = await client.fetch("/api/v1/experiments/color/results.csv")
    header, _, row = (line.split(",") for line in table.body.decode().splitlines())
    found = dict(zip(header, row, strict=True))
    assert (found["decided_by"], found["safe_low"]) == ("exact", "")
    assert float(found["loss"]) < -0.3


async def test_over_phases_it_is_said_how_rates_are_made(client: Client, store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", metrics=("conversion:purchase",))], 1)
    await worker.tick(store)
    said = "here weights the phases in the same way"
    assert said not in words(await page(client, "/experiments/color"))
    await store.change("color", lambda _: Change(weights=(Decimal(1), Decimal(2))), 2)
    await worker.tick(store)
    assert said in words(await page(client, "/experiments/color"))


async def test_money_shows_both_means_and_the_cap_between_them(client: Client, store: SQLiteStore) -> None:
    variants = tuple(Variant(value, Decimal(1)) for value in ("A", "B"))
    await store.add([NewExperiment(key="color", variants=variants, metrics=("amount:purchase less",))], 1)
    await live(store, "a", 2_000, {"A": 10, "B": 10})
    await store.track([("a-7", [Event("whale", "purchase", amount=90_000_000)])], 20_000 * clock.DAY)
    await worker.tick(store)
    shown = words(await page(client, "/experiments/color"))
    assert "Amount of purchase, less is better" in shown
    assert "Left of zero is better" in shown
    assert re.search(r"Up to 5\.\d", shown)
    assert re.search(r"A device counts up to 5\.\d+: 1 device brought in more", shown)


async def test_health_says_which_devices_showed_something_else(client: Client, store: SQLiteStore) -> None:
    await demo(store, 30)
    shown = Event("seen", "exposure", "button_color", value="#FF0000")
    await store.track([(token, [shown]) for token in tokens("device", 30)], clock.now())
    await worker.tick(store)
    html = await page(client, "/experiments/button_color")
    assert "<bdi>#00FF00</bdi> showed" in html
    health = words(html)
    assert "10 devices of #00FF00 showed something else" in health
    assert "of #FF0000 showed something else" not in health


async def test_the_page_says_who_takes_part(client: Client, store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", audience=("platform=ios,android", "app_version>=3.10"))], 1)
    said = {token: read_attributes([("platform", "ios"), ("app_version", "3.9")]) for token in tokens("old", 1200)}
    await store.enrol(list(said), 1, said)
    await store.enrol(["web", "new"], 1, {"new": read_attributes([("platform", "ios"), ("app_version", "4")])})
    await worker.tick(store)
    text = await page(client, "/experiments/color")
    assert "platform is ios or android, app_version at least 3.10</dd>" in text
    assert "1 of 1,202 new devices in it; “app_version at least 3.10” keeps out the most: 1,201" in text
    assert "Excluded 1,201 outside its audience" in words(text)


async def test_the_page_says_what_part_is_covered(client: Client, store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", coverage="0.2")], 1)
    await answers(store, tokens("a", 50))
    await store.change("color", lambda _: Change(coverage=Decimal("0.5")), 2)
    await answers(store, tokens("b", 8))
    await worker.tick(store)
    text = await page(client, "/experiments/color")
    assert "<dd>50%</dd>" in text
    assert "of new devices; 44 got no value so far" in text
    assert "covers 20%</span>" in text
    assert "1 : 1 and covers 50% of them." in text
    assert '<td class="number" data-devices="7">7</td>' in text
    stats = msgspec.json.decode((await client.fetch("/api/v1/stats")).body)["experiments"][0]
    assert (stats["devices"], [each["share"] for each in stats["variants"]]) == (14, ["1/2", "1/2"])
    assert [(each["expected"], each["devices"]) for each in stats["variants"]] == [(7, 7), (7, 7)]


async def test_there_is_nothing_to_switch_while_there_is_one_app(client: Client, app: HotServer) -> None:
    await app.enrolment.refresh()
    assert 'class="apps"' not in await page(client)
    assert "<title>abtest</title>" in await page(client)
