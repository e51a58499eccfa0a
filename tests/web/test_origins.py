"""Pages of other origins: what they may ask, and what their browser hears."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler, StaticFileHandler

from abtest.bootstrap import wired
from abtest.domain.experiments import NewExperiment, Variant
from abtest.errors import InvalidSetting
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from abtest.web.origins import Origins
from tests.conftest import Client, Run
from tests.scenes import new
from tests.test_work import hops

PLAIN, EVENTS, FLAGS = "/api/v1/experiments", "/api/v1/events", "/ofrep/v1/evaluate/flags"
ORIGIN = "https://app.example.com"
NAMED = "https://app.example.com, capacitor://localhost,null"
PACKAGES = Path(__file__).parent / "openfeature" / "node_modules"
JSON = {"Content-Type": "application/json"}
ASKED = {"method": "POST", "headers": JSON, "body": '{"context":{"targetingKey":"a"}}'}
ANSWERS: dict[str, tuple[str, dict[str, Any], int]] = {
    "values": (PLAIN, {"headers": {"Device-Token": "a"}}, 200),
    "values that are known": (PLAIN, {"headers": {"Device-Token": "a", "If-None-Match": "*"}}, 304),
    "an unknown device": (PLAIN, {"method": "HEAD", "headers": {"Device-Token": "b"}}, 404),
    "no token": (PLAIN, {}, 400),
    "another method": (PLAIN, {"method": "DELETE"}, 405),
    "flags": (FLAGS, ASKED, 200),
    "flags that are known": (FLAGS, ASKED | {"headers": JSON | {"If-None-Match": "*"}}, 304),
    "an unknown flag": (f"{FLAGS}/nothing", ASKED, 404),
    "no flag's path": ("/ofrep/v1/nothing", ASKED, 404),
    "flags of nobody": (FLAGS, ASKED | {"body": "{}"}, 400),
    "flags by another method": (FLAGS, {}, 405),
    "events": (EVENTS, {"method": "POST", "body": '{"events":[]}', "headers": JSON | {"Device-Token": "a"}}, 202),
    "events of nobody": (EVENTS, {"method": "POST", "body": '{"events":[]}', "headers": JSON}, 400),
    "values of an app": (f"/apps/default{PLAIN}", {"headers": {"Device-Token": "a"}}, 200),
    "values of no app": (f"/apps/nothing{PLAIN}", {"headers": {"Device-Token": "a"}}, 404),
    "flags of an app": (f"/apps/default{FLAGS}", ASKED, 200),
    "flags of no app": (f"/apps/nothing{FLAGS}", {}, 404),
    "events of no app": (f"/apps/nothing{EVENTS}", {"method": "POST", "body": "{}"}, 404),
    "too many events": (EVENTS, {"method": "POST", "body": "a" * 70_000, "headers": JSON}, 413),
}
each_answer = pytest.mark.parametrize(
    ("path", "options", "status"), ANSWERS.values(), ids=[name.replace(" ", "-") for name in ANSWERS]
)
METHODS = {PLAIN: "GET, HEAD", EVENTS: "POST", FLAGS: "POST", f"{FLAGS}/color": "POST"}
each_path = pytest.mark.parametrize(
    ("path", "methods"), [(app + path, METHODS[path]) for app in ("", "/apps/default") for path in METHODS]
)


@pytest.fixture
def cors_origins() -> str:
    return "*"


@pytest.fixture
def store(tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStore]:
    store = SQLiteStore(new(tmp_path / "abtest.db"))
    io_loop.run_sync(store.open)
    color = NewExperiment(key="color", variants=(Variant("red", Decimal(1)), Variant("blue", Decimal(0))))
    io_loop.run_sync(lambda: store.add([color], 1))
    yield store
    io_loop.run_sync(store.close)


@pytest.fixture
def app(store: SQLiteStore, cors_origins: str) -> HotServer:
    return make_app(wired(store, Settings(cors_origins=cors_origins)))


async def ask(client: Client, path: str, origin: str | None = ORIGIN, **options: Any) -> HTTPResponse:
    """An answer, for a device that is known; a status over 300 is one, too."""
    await client.fetch(PLAIN, headers={"Device-Token": "a"})
    headers = options.pop("headers", {}) | ({} if origin is None else {"Origin": origin})
    return await client.fetch(path, headers=headers, **options)


def cors(answer: HTTPResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers.get_all() if name.startswith("Access-Control-")}


@each_answer
async def test_every_origin_may_read_every_answer(
    client: Client, path: str, options: dict[str, Any], status: int
) -> None:
    for origin in (ORIGIN, None):
        answer = await ask(client, path, origin, **options)
        assert answer.code == status
        assert cors(answer) == {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": "ETag, Retry-After",
        }
        assert "Origin" not in answer.headers.get("Vary", "")


@each_answer
@pytest.mark.parametrize("cors_origins", [NAMED])
async def test_only_named_origins_may_read_an_answer(
    client: Client, path: str, options: dict[str, Any], status: int
) -> None:
    for origin in (ORIGIN, "capacitor://localhost", "null", "https://other.example", "*", "", None):
        answer = await ask(client, path, origin, **options)
        named = origin in {ORIGIN, "capacitor://localhost", "null"}
        assert answer.code == status
        assert cors(answer).get("Access-Control-Allow-Origin") == (origin if named else None)
        assert "Origin" in [each.strip() for each in answer.headers["Vary"].split(",")]
        if path == PLAIN and status < 405:
            assert answer.headers["Vary"] == "Device-Token, Origin"


@each_answer
@pytest.mark.parametrize("cors_origins", ["off"])
async def test_no_origin_may_read_an_answer_when_it_is_off(
    client: Client, path: str, options: dict[str, Any], status: int
) -> None:
    answer = await ask(client, path, **options)
    assert (answer.code, cors(answer)) == (status, {})
    if path in {PLAIN, EVENTS, FLAGS}:
        assert (await ask(client, path, method="OPTIONS")).code == 405


@each_path
async def test_a_preflight_says_what_may_be_asked_and_reads_nothing(
    client: Client, path: str, methods: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hops(monkeypatch) as made:
        answer = await client.fetch(
            path,
            method="OPTIONS",
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "device-token",
            },
        )
    assert (answer.code, answer.body, made) == (204, b"", [])
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Methods"] == methods
    assert {"Device-Token", "Content-Type", "If-None-Match", "Authorization", "X-API-Key"} <= set(
        answer.headers["Access-Control-Allow-Headers"].split(", ")
    )
    assert answer.headers["Access-Control-Max-Age"] == "86400"
    assert "Content-Length" not in answer.headers


@each_path
@pytest.mark.parametrize("cors_origins", [NAMED])
async def test_a_preflight_allows_named_origins_alone(client: Client, path: str, methods: str) -> None:
    for origin, allowed in ((ORIGIN, ORIGIN), ("https://other.example", None)):
        answer = await client.fetch(path, method="OPTIONS", headers={"Origin": origin})
        assert (answer.code, answer.headers["Vary"]) == (204, "Origin")
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/experiments/color",
            "/demo",
            "/why",
            "/docs",
            "/healthz",
            "/readyz",
            "/metrics",
            "/static/abtest.css",
        ),
        *("/api/v1/stats", "/api/v1/experiments/color/results", "/api/v1/admin/experiments", "/api/v1/experiments/"),
    ],
)
async def test_pages_and_what_people_manage_never_answer_another_origin(client: Client, path: str) -> None:
    for method in ("GET", "OPTIONS"):
        answer = await ask(client, path, method=method)
        assert cors(answer) == {}


UNREADABLE = [b"%b HTTP/1.1\r\nHost: a\r\nbad\r\n\r\n", b"%b HTTP/1.1\r\nHost: a\r\na: " + b"a" * 80_000]


@pytest.mark.parametrize("rest", UNREADABLE, ids=["400", "431"])
async def test_what_can_not_be_read_is_answered_to_every_origin_if_it_is_of_an_app(
    client: Client, rest: bytes
) -> None:
    for target in (b"GET /api/v1/experiments?a=b", b"POST /ofrep/v1/evaluate/flags/a", b"POST /apps/a/api/v1/events"):
        assert b"\r\nAccess-Control-Allow-Origin: *\r\n" in await client.send(rest % target)
    for target in (b"GET /", b"GET /api/v1/stats", b"GET", b""):
        assert b"Access-Control" not in await client.send(rest % target)


@pytest.mark.parametrize("cors_origins", [NAMED])
async def test_what_can_not_be_read_is_answered_to_no_named_origin(client: Client) -> None:
    answer = await client.send(UNREADABLE[0] % b"GET /api/v1/experiments")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Access-Control" not in answer


@pytest.mark.parametrize(
    "setting", ["", "app.example.com", "https://a.example/", "https://a.example,", "*,off", "https://*"]
)
def test_a_setting_that_names_no_origin_is_refused(run: Run, setting: str) -> None:
    with pytest.raises(InvalidSetting, match="is not an origin; write"):
        Origins(setting)
    assert isinstance(run("serve", "--cors-origins", setting).exception, InvalidSetting)


def test_an_empty_variable_is_refused_like_an_empty_option(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABTEST_CORS_ORIGINS", "")
    assert "cors-origins: '' is not an origin; write" in str(run("serve", "--port", "0").exception)


@pytest.mark.parametrize(
    ("setting", "sent"),
    [
        ("https://App.example.com", "https://app.example.com"),
        ("HTTPS://app.example.com", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://app.example.com:80", "http://app.example.com"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
        ("Null", "null"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused_with_what_to_write(setting: str, sent: str) -> None:
    with pytest.raises(InvalidSetting, match=f"no browser sends '{setting}'; write {sent}$"):
        Origins(setting)
    assert Origins(sent).allowed(sent) == sent


@pytest.mark.parametrize(
    "origin", ["http://a.example:443", "http://[::1]:8080", "capacitor://localhost", "https://a"]
)
def test_an_origin_that_browsers_send_is_taken(origin: str) -> None:
    assert Origins(origin).allowed(origin) == origin
    assert Origins(origin).allowed("https://other.example") is None


MODULES = {
    "@openfeature/core": "core/dist/esm/index.js",
    "@openfeature/web-sdk": "web-sdk/dist/esm/index.js",
    "@openfeature/ofrep-core": "ofrep-web-provider/node_modules/@openfeature/ofrep-core/index.esm.js",
    "@openfeature/ofrep-web-provider": "ofrep-web-provider/index.esm.js",
}
IMPORTS = json.dumps({"imports": {name: f"/packages/@openfeature/{path}" for name, path in MODULES.items()}})


class Page(RequestHandler):
    """The page of an app."""

    def get(self) -> None:
        self.write(f'<!doctype html><script type="importmap">{IMPORTS}</script>')


@pytest.fixture
def other_origin(io_loop: IOLoop) -> Iterator[str]:
    """A server with an app's page, and OpenFeature's clients if they are there."""

    async def start() -> tuple[HTTPServer, int]:
        listening, port = bind_unused_port()
        server = HTTPServer(
            Application([("/", Page), ("/packages/(.*)", StaticFileHandler, {"path": str(PACKAGES)})])
        )
        server.add_sockets([listening])
        return server, port

    server, port = io_loop.run_sync(start)
    yield f"http://localhost:{port}/"
    server.stop()
    io_loop.run_sync(server.close_all_connections)


FETCHED = """async ([url, path, options]) => {
  const response = await fetch(url + path, options);
  return [response.status, await response.text(), response.headers.get('ETag')];
}"""


async def test_a_page_of_another_origin_asks_in_a_real_browser(
    browser: Any, client: Client, other_origin: str
) -> None:
    page = await browser.new_page()
    await page.goto(other_origin)

    async def fetched(path: str, **options: Any) -> list[Any]:
        found: list[Any] = await page.evaluate(FETCHED, [client.address, path, options])
        return found

    status, body, tag = await fetched(PLAIN, headers={"Device-Token": "a"})
    assert (status, json.loads(body)) == (200, {"color": "red"})
    assert (await fetched(PLAIN, headers={"Device-Token": "a", "If-None-Match": tag}, cache="no-store"))[0] == 304
    assert (await fetched(PLAIN, headers={"Device-Token": "sp ace"}))[0] == 400
    sent = {"method": "POST", "headers": JSON | {"Device-Token": "a"}, "body": '{"events":[]}'}
    assert (await fetched(EVENTS, **sent))[0] == 202
    assert (await fetched(FLAGS, **ASKED))[0] == 200
    with pytest.raises(Exception, match="Failed to fetch"):
        await fetched("/api/v1/stats")


@pytest.mark.parametrize("cors_origins", ["https://app.example.com"])
async def test_a_page_of_an_origin_that_is_not_named_reads_nothing(
    browser: Any, client: Client, other_origin: str
) -> None:
    page = await browser.new_page()
    await page.goto(other_origin)
    with pytest.raises(Exception, match="Failed to fetch"):
        await page.evaluate(FETCHED, [client.address, PLAIN, {"headers": {"Device-Token": "a"}}])


OPENFEATURE = """async (baseUrl) => {
  const { OpenFeature } = await import('@openfeature/web-sdk');
  const { OFREPWebProvider } = await import('@openfeature/ofrep-web-provider');
  await OpenFeature.setContext({ targetingKey: 'a', platform: 'web' });
  await OpenFeature.setProviderAndWait(new OFREPWebProvider({ baseUrl }));
  return OpenFeature.getClient().getStringValue('color', 'default');
}"""


@pytest.mark.skipif(not PACKAGES.is_dir(), reason="needs the packages that `make packages` installs")
async def test_openfeature_asks_from_another_origin_and_starts_from_what_it_kept(
    browser: Any, client: Client, other_origin: str
) -> None:
    page = await browser.new_page()
    await page.goto(other_origin)
    assert await page.evaluate(OPENFEATURE, client.address) == "red"
    await page.reload()
    async with page.expect_response(lambda answer: FLAGS in answer.url and answer.request.method == "POST") as asked:
        assert await page.evaluate(OPENFEATURE, client.address) == "red"
    assert (await asked.value).status == 304
