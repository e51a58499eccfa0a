"""Several apps in one server, over real HTTP."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse
from tornado.ioloop import IOLoop

from abtest.bootstrap import wired
from abtest.domain import NewExperiment, Type, Variant
from abtest.management import AppService, ExperimentService
from abtest.results import worker
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust.verification import VerificationService
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import ANNA, experiment, figure, new

PLAIN, EVENTS, FLAGS = "/api/v1/experiments", "/api/v1/events", "/ofrep/v1/evaluate/flags"
STAGING = "/apps/staging"
JSON = {"Content-Type": "application/json"}
KEPT = {"Connection": "keep-alive"}
"""Only then an answer is one that was rendered for somebody else; the client would close the connection."""
OF_APPS = [
    *(PLAIN, EVENTS, FLAGS, f"{FLAGS}/price", "/api/v1/stats"),
    *("/api/v1/experiments/color/results", "/api/v1/experiments/color/results.csv"),
    *("/", "/experiments/color", "/simulate", "/simulate/run?devices=6", "/plan", "/why", "/demo", "/docs"),
]
OF_NONE = ["/healthz", "/readyz", "/metrics", "/robots.txt", "/openapi.yaml", "/static/abtest.css", "/nothing", "//"]
LINK = re.compile(r'(?:href|src|action)="([^"#]+)"')


def sure(key: str, value: str, type: Type = Type.STRING) -> NewExperiment:
    """An experiment in which every device gets the same value."""
    return NewExperiment(key, (Variant(value, Decimal(1)), Variant("0", Decimal(0))), type=type)


@pytest.fixture
def base() -> str:
    return ""


@pytest.fixture
def settings(tmp_path: Path, base: str) -> Settings:
    return Settings(
        database=f"sqlite:///{tmp_path}/abtest.db",
        demo="on",
        base_path=base,
        trusted_proxies="127.0.0.1",
        new_per_source=0.001,
        new_per_source_burst=2,
    )


@pytest.fixture
def store(tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStore]:
    """Both apps have a `price`, of different types; `color` is of the default app."""
    store = SQLiteStore(new(tmp_path / "abtest.db"))

    async def prepare() -> None:
        await store.open()
        made = [sure("price", "10", Type.NUMBER), experiment("color", "1", "1")]
        await ExperimentService(store, by=ANNA).add(made)
        await AppService(store, by=ANNA).add("staging")
        await ExperimentService(store, "staging", by=ANNA).add(
            [sure("price", "10"), experiment("shape", "1", "1", "1")]
        )

    io_loop.run_sync(prepare)
    yield store
    io_loop.run_sync(store.close)


@pytest.fixture
def app(store: SQLiteStore, settings: Settings, io_loop: IOLoop) -> HotServer:
    app = make_app(wired(store, settings))
    io_loop.run_sync(app.enrolment.refresh)
    return app


async def twins(store: SQLiteStore) -> None:
    """Two apps in which a device gets the same texts, of different types."""
    for key, type in (("texts", Type.STRING), ("numbers", Type.NUMBER)):
        await AppService(store, by=ANNA).add(key)
        await ExperimentService(store, key, by=ANNA).add([sure("price", "10", type)])


async def values(client: Client, app: str, token: str, **headers: str) -> HTTPResponse:
    return await client.fetch(app + PLAIN, headers={"Device-Token": token} | headers)


async def flags(client: Client, app: str, token: str, key: str = "", **headers: str) -> HTTPResponse:
    body = json.dumps({"context": {"targetingKey": token}})
    return await client.fetch(app + FLAGS + key, method="POST", headers=JSON | headers, body=body)


async def send(client: Client, app: str, token: str) -> HTTPResponse:
    body = '{"events":[{"id":"1","name":"purchase"},{"id":"2","name":"exposure","experiment":"shape"}]}'
    return await client.fetch(app + EVENTS, method="POST", headers=JSON | {"Device-Token": token}, body=body)


def document(answer: HTTPResponse) -> Any:
    return json.loads(answer.body)


async def test_the_same_token_in_two_apps_is_two_devices(client: Client, store: SQLiteStore) -> None:
    for number in range(60):
        assert document(await values(client, "", f"{number}")).keys() == {"color", "price"}
        if number % 2:
            assert document(await values(client, STAGING, f"{number}")).keys() == {"price", "shape"}
    await worker.tick(store)
    for app, devices, shown in (("", 60, {"color": [30, 30]}), (STAGING, 30, {"shape": [10, 10, 10]})):
        stats = document(await client.fetch(f"{app}/api/v1/stats"))
        counts = {each["key"]: [variant["devices"] for variant in each["variants"]] for each in stats["experiments"]}
        assert (stats["devices"], counts) == (devices, {"price": [devices, 0]} | shown)
    assert (await VerificationService(store).verify()).findings == ()


async def test_the_default_app_may_be_named(client: Client) -> None:
    plain, named = await values(client, "", "a"), await values(client, "/apps/default", "a")
    assert (named.body, named.headers["ETag"]) == (plain.body, plain.headers["ETag"])
    assert (await client.fetch("/apps/default/experiments/color")).code == 200


async def test_a_device_is_new_in_an_app_whatever_it_is_in_another(client: Client, store: SQLiteStore) -> None:
    await values(client, "", "a")
    await ExperimentService(store, by=ANNA).add([experiment("later", "1", "1")])
    await ExperimentService(store, "staging", by=ANNA).add([experiment("later", "1", "1")])
    assert "later" not in document(await values(client, "", "a"))
    assert (await client.fetch(STAGING + PLAIN, method="HEAD", headers={"Device-Token": "a"})).code == 404
    assert "later" in document(await values(client, STAGING, "a"))


async def test_events_are_those_of_the_device_in_the_app(client: Client, store: SQLiteStore) -> None:
    await values(client, "", "a")
    assert document(await send(client, STAGING, "a"))["code"] == "unknown_device"
    await values(client, STAGING, "a")
    assert document(await send(client, STAGING, "a")) == {"accepted": 2, "duplicates": 0}
    assert document(await send(client, "", "a")) == {"accepted": 2, "duplicates": 0}
    assert document(await send(client, STAGING, "a")) == {"accepted": 0, "duplicates": 2}
    await worker.tick(store)
    for app, told in (("", [0, 0, 1]), (STAGING, [2, 2, 0])):
        health = document(await client.fetch(f"{app}/api/v1/experiments/price/results"))["health"]
        names = ("duplicate_events", "unknown_device_events", "unknown_experiment_events")
        assert [health[name] for name in names] == told


async def test_an_answer_of_one_app_never_leaks_into_another(client: Client, store: SQLiteStore) -> None:
    await twins(store)
    for app, value in (
        ("texts", "10"),
        ("numbers", 10),
        ("texts", "10"),
    ):  # within a second: answers are kept rendered
        (shown,) = document(await flags(client, f"/apps/{app}", "a", **KEPT))["flags"]
        assert shown["value"] == value
        assert document(await flags(client, f"/apps/{app}", "a", "/price", **KEPT))["value"] == value


async def test_a_flag_without_a_value_is_no_flag_in_another_app(client: Client, store: SQLiteStore) -> None:
    await AppService(store, by=ANNA).add("empty")
    await AppService(store, by=ANNA).add("drafting")
    await ExperimentService(store, "drafting", by=ANNA).add([experiment("later", "1", "1", draft=True)])
    for app, code in (("drafting", 200), ("empty", 404), ("drafting", 200)):
        assert (await flags(client, f"/apps/{app}", "a", "/later", **KEPT)).code == code


async def test_an_etag_of_one_app_says_nothing_in_another(client: Client, store: SQLiteStore) -> None:
    for ask in (values, flags):
        tag = (await ask(client, STAGING, "a")).headers["ETag"]
        assert (await ask(client, STAGING, "a", **{"If-None-Match": tag})).code == 304
        assert (await ask(client, "", "a", **{"If-None-Match": tag})).code == 200
    await twins(store)
    tag = (await flags(client, "/apps/texts", "a")).headers["ETag"]
    assert (await flags(client, "/apps/numbers", "a", **{"If-None-Match": tag})).code == 200


@pytest.mark.parametrize("path", [*OF_APPS, *OF_NONE])
@pytest.mark.parametrize("key", ["nothing", "", "STAGING", "st%61ging"])
async def test_an_unknown_app_is_404_whatever_is_asked(client: Client, path: str, key: str) -> None:
    for method in ("GET", "POST", "DELETE", "PATCH"):
        body = "{}" if method in {"POST", "PATCH"} else None
        headers = JSON | {"Device-Token": "a", "Accept": "application/json"}
        if path.startswith(FLAGS) and body:
            body = '{"context":{"targetingKey":"a"}}'
        answer = await client.fetch(f"/apps/{key}{path}", method=method, headers=headers, body=body)
        told = answer.body.decode()
        assert answer.code == 404
        if path.startswith(FLAGS):
            assert document(answer)["errorCode"] == "GENERAL"
            assert document(answer)["errorDetails"] == "there is no app with this key"
            assert document(answer).get("key") == ("price" if path.endswith("price") else None)
        else:
            assert "unknown_app" in told
        assert "nothing" not in told
        assert "STAGING" not in told
    assert (await client.fetch(f"/apps/{key}{path}", method="HEAD", headers={"Device-Token": "a"})).code == 404


async def test_people_who_look_for_an_unknown_app_get_a_page_that_leads_to_another(client: Client) -> None:
    answer = await client.fetch("/apps/nothing/plan", headers={"Accept": "text/html"})
    assert (answer.code, answer.headers["Content-Type"]) == (404, "text/html; charset=UTF-8")
    assert "There is no app with this key." in answer.body.decode()
    assert '<a class="brand" href="/">' in answer.body.decode()


@pytest.mark.parametrize("path", [*(STAGING + path for path in OF_NONE), STAGING, f"{STAGING}{STAGING}/", "/apps/"])
async def test_a_path_that_is_of_no_app_is_404(client: Client, path: str) -> None:
    answer = await client.fetch(path)
    assert (answer.code, document(answer)["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", OF_APPS)
async def test_what_an_app_has_lies_under_it(client: Client, store: SQLiteStore, path: str) -> None:
    await ExperimentService(store, "staging", by=ANNA).add([experiment("color", "1", "1")])
    plain, named = await client.fetch(path), await client.fetch(STAGING + path)
    assert (named.code, named.headers.get("Allow")) == (plain.code, plain.headers.get("Allow"))
    assert named.code in {200, 400, 405}


async def test_an_app_that_another_process_made_is_known_at_once(client: Client, store: SQLiteStore) -> None:
    await AppService(store, by=ANNA).add("fresh")
    assert (await client.fetch("/apps/fresh/")).code == 200
    await AppService(store, by=ANNA).add("fresher")
    assert (await values(client, "/apps/fresher", "a")).body == b"{}"


async def test_limits_are_shared(client: Client) -> None:
    away = {"X-Forwarded-For": "192.0.2.1"}
    asked = [await values(client, app, "a", **away) for app in ("", STAGING, "/apps/default")]
    assert [each.code for each in asked] == [200, 200, 200]  # of two new devices
    refused = [await values(client, app, "b", **away) for app in ("", STAGING)]
    assert [each.code for each in refused] == [429, 429]


async def test_figures_for_prometheus_are_of_the_whole_server(client: Client, store: SQLiteStore) -> None:
    for app, token in (("", "a"), (STAGING, "a"), (STAGING, "b")):
        await values(client, app, token)
    await worker.tick(store)
    page = (await client.fetch("/metrics")).body
    assert (figure(page, "abtest_counted_devices"), figure(page, "abtest_new_devices_total")) == (3, 3)


async def test_crawlers_leave_the_demo_of_every_app_alone(client: Client) -> None:
    told = (await client.fetch("/robots.txt")).body.decode().splitlines()
    assert {"Disallow: /demo", "Disallow: /apps/*/demo", "Disallow: /apps/*/api/"} <= set(told)


@pytest.mark.parametrize("base", ["", "/abtest"])
async def test_links_forms_and_scripts_stay_in_the_app(client: Client, store: SQLiteStore, base: str) -> None:
    await values(client, base + STAGING, "a")
    await worker.tick(store)
    pages = ("/", "/experiments/shape", "/simulate?devices=6", "/plan?base=5", "/why", "/demo", "/docs", "/nothing")
    for page in pages:
        answer = await client.fetch(f"{base}{STAGING}{page}", headers={"Accept": "text/html"})
        text = answer.body.decode()
        assert f'data-base="{base}{STAGING}" data-root="{base}"' in text
        assert "<title>" in text
        assert " · staging</title>" in text
        inside = re.sub(r'<details class="menu apps">.*?</details>|<a class="account".*?>', "", text, flags=re.DOTALL)
        for link in LINK.findall(inside):
            shared = (f"{base}/static/", f"{base}/openapi.yaml", f"{base}/system", "https://arxiv")
            assert link.startswith((f"{base}{STAGING}/", *shared))
            assert link.startswith("https") or (await client.fetch(link)).code == 200, link


async def test_the_switcher_leads_to_the_same_page_of_every_app(client: Client) -> None:
    assert 'class="menu apps"' in (await client.fetch("/plan")).body.decode()  # nobody has asked for an app before
    for page, there in (("/plan?base=5", "plan"), ("/experiments/price", ""), ("/", ""), ("/why", "why")):
        text = (await client.fetch(STAGING + page)).body.decode()
        (found,) = re.findall(r'<details class="menu apps">(.*?)</details>', text, flags=re.DOTALL)
        assert LINK.findall(found) == [f"/{there}", f"{STAGING}/{there}"]
        assert re.findall(r'aria-current="true">(\w+)<', found) == ["staging"]


async def test_pages_show_the_app_and_the_commands_that_mean_it(client: Client, store: SQLiteStore) -> None:
    await values(client, STAGING, "a")
    await ExperimentService(store, "staging", by=ANNA).add([experiment("later", "1", "1", draft=True)])
    await worker.tick(store)
    page = (await client.fetch(f"{STAGING}/experiments/later")).body.decode()
    assert "abtest experiments start later --app staging</code>" in page
    assert "abtest experiments metrics later --metric conversion:EVENT --app staging</code>" in page
    assert "abtest experiments metrics color --metric conversion:EVENT</code>" in (
        (await client.fetch("/experiments/color")).body.decode()
    )
    assert (await client.fetch(f"{STAGING}/experiments/color")).code == 404
    assert (await client.fetch("/experiments/shape")).code == 404


async def test_why_explains_the_device_of_the_app(client: Client) -> None:
    await values(client, STAGING, "a")
    form = await client.fetch(f"{STAGING}/why")
    headers = {"Cookie": form.headers["Set-Cookie"].partition(";")[0]}
    (token,) = re.findall(r'name="_xsrf" value="([^"]+)"', form.body.decode())
    body = f"_xsrf={token}&token=a".replace("|", "%7C")
    for app, code in ((STAGING, 200), ("", 404)):
        answer = await client.fetch(f"{app}/why", method="POST", headers=headers, body=body)
        assert (answer.code, b"/experiments/shape" in answer.body) == (code, code == 200)


async def test_a_simulation_is_of_the_experiments_of_the_app(client: Client) -> None:
    page = (await client.fetch(f"{STAGING}/simulate?devices=6")).body.decode()
    assert "<bdi>shape</bdi>" in page
    assert "<bdi>color</bdi>" not in page
