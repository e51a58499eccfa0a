"""Everything lies under a base path, behind a real nginx that strips it or keeps it."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.ioloop import IOLoop

from abtest.bootstrap import wired
from abtest.errors import InvalidSetting
from abtest.management import DEMO
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app, routes
from abtest.web.base_path import IN_APP, TAKEN, check_base_path, stripped
from abtest.web.hot import HotServer
from tests.conftest import Client, Run
from tests.processes import certify, free_port, wait_until_answering
from tests.scenes import new

BASE = "/abtest"
STRIPS, KEEPS = "/", ""
PAGES = ("/", "/experiments/price", "/simulate?devices=6", "/plan?base=5", "/why", "/demo", "/docs", "/nothing")
LINK = re.compile(r'(?:href|src|action)="([^"#]+)"')
CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  gzip on; gzip_proxied any; gzip_min_length 1; gzip_types application/json;
  upstream abtest {{ server 127.0.0.1:{server}; keepalive 4; keepalive_timeout 500ms; }}
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    location /abtest/ {{
      proxy_pass http://abtest{target};
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        database=f"sqlite:///{tmp_path}/abtest.db",
        demo="on",
        base_path=BASE,
        trusted_proxies="127.0.0.1",
        new_per_source=0.001,
        new_per_source_burst=1,
        idle_timeout=1.0,
    )


@pytest.fixture
def store(tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStore]:
    store = SQLiteStore(new(tmp_path / "abtest.db"))
    io_loop.run_sync(store.open)
    io_loop.run_sync(lambda: store.add(DEMO, 1))
    yield store
    io_loop.run_sync(store.close)


@pytest.fixture
def app(store: SQLiteStore, settings: Settings) -> HotServer:
    return make_app(wired(store, settings))


class Proxy:
    """An nginx with TLS in front of the server."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._http = AsyncHTTPClient(force_instance=True)

    async def fetch(self, path: str, **options: Any) -> HTTPResponse:
        options |= {"raise_error": False, "follow_redirects": False, "validate_cert": False}
        return await self._http.fetch(urljoin(self.address, path), **options)

    def close(self) -> None:
        self._http.close()


@pytest.fixture(params=[STRIPS, KEEPS], ids=["strips", "keeps"])
def proxy(request: pytest.FixtureRequest, client: Client, tmp_path: Path) -> Iterator[Proxy]:
    if shutil.which("nginx") is None:
        pytest.skip("needs nginx")
    certify(tmp_path)
    port = free_port()
    server = client.address.rpartition(":")[2]
    written = CONFIGURATION.format(folder=tmp_path, port=port, server=server, target=request.param)
    (tmp_path / "nginx.conf").write_text(written)
    line = ["nginx", "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log")]
    running = subprocess.Popen(line, stderr=subprocess.DEVNULL)
    wait_until_answering(port)
    proxy = Proxy(f"https://127.0.0.1:{port}")
    yield proxy
    proxy.close()
    running.terminate()
    running.wait()


async def test_every_link_form_and_script_lies_under_it(proxy: Proxy) -> None:
    found = set()
    for page in PAGES:
        answer = await proxy.fetch(BASE + page, headers={"Accept": "text/html"})
        assert answer.code == (404 if page == "/nothing" else 200)
        found |= set(LINK.findall(answer.body.decode()))
        assert f'data-base="{BASE}"' in answer.body.decode()
    assert {urlsplit(link).path for link in found} >= {f"{BASE}/", f"{BASE}/why", f"{BASE}/static/demo.js"}
    for link in found:
        assert link.startswith(f"{BASE}/")
        assert (await proxy.fetch(link)).code == 200, link


async def test_cookies_are_sent_over_tls_alone(proxy: Proxy) -> None:
    cookie = (await proxy.fetch(f"{BASE}/sign-in")).headers["Set-Cookie"]
    assert cookie.startswith("__Host-") and "; Secure" in cookie


def test_the_proxy_of_the_documentation_says_that_clients_came_by_tls() -> None:
    documented = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    told = [line.strip() for line in CONFIGURATION.splitlines() if "X-Forwarded-Proto" in line]
    assert told and all(line in documented for line in told)


async def test_cookies_without_tls_lie_under_it(client: Client) -> None:
    cookie = (await client.fetch(f"{BASE}/why")).headers["Set-Cookie"]
    assert f"; Path={BASE};" in f"{cookie};"


async def test_forms_work(proxy: Proxy) -> None:
    form = await proxy.fetch(f"{BASE}/why")
    token = re.search(r'name="_xsrf" value="([^"]+)"', form.body.decode())
    assert token
    headers = {"Cookie": form.headers["Set-Cookie"].partition(";")[0]}
    body = f"_xsrf={token[1]}&token=nobody".replace("|", "%7C")
    posted = await proxy.fetch(f"{BASE}/why", method="POST", headers=headers, body=body)
    assert (posted.code, b"No device has asked" in posted.body) == (404, True)


async def test_the_specification_and_crawlers_are_told_of_it(proxy: Proxy) -> None:
    told = (await proxy.fetch(f"{BASE}/openapi.yaml")).body
    assert b"servers:\n  - url: /abtest\n" in told
    assert b"  - url: /abtest/apps/{app}\n" in told
    assert b"Disallow: /abtest/demo\n" in (await proxy.fetch(f"{BASE}/robots.txt")).body


async def test_scripts_ask_under_it_in_a_real_browser(browser: Any, proxy: Proxy) -> None:
    page = await browser.new_page(ignore_https_errors=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path, arrived in (
        ("/demo", "#values tr"),
        ("/docs", ".opblock"),
        ("/simulate", "#result .distribution"),
    ):
        await page.goto(f"{proxy.address}{BASE}{path}")
        if path == "/simulate":
            await page.get_by_role("button", name="Simulate").click()
        await page.wait_for_selector(arrived, timeout=60_000)
    assert {urlsplit(url).path for url in asked} >= {
        f"{BASE}/api/v1/experiments",
        f"{BASE}/openapi.yaml",
        f"{BASE}/simulate/run",
    }
    assert all(url.startswith((f"{proxy.address}{BASE}/", "data:", "blob:")) for url in asked), asked


async def test_apps_ask_under_it_and_a_weak_etag_gives_304(proxy: Proxy) -> None:
    json = {"Content-Type": "application/json"}
    flags: dict[str, Any] = {"method": "POST", "body": '{"context":{"targetingKey":"a"}}', "headers": json}
    plain: dict[str, Any] = {"headers": {"Device-Token": "a"}}
    for path, options in (("/api/v1/experiments?platform=ios", plain), ("/ofrep/v1/evaluate/flags", flags)):
        first = await proxy.fetch(BASE + path, **options, decompress_response=True)
        assert (first.code, first.headers["Etag"].startswith('W/"')) == (200, True)
        headers = options["headers"] | {"If-None-Match": first.headers["Etag"]}
        again = await proxy.fetch(BASE + path, **options | {"headers": headers}, decompress_response=True)
        assert (again.code, again.body) == (304, b"")


async def test_new_devices_count_against_the_address_that_the_proxy_names(proxy: Proxy) -> None:
    async def ask(token: str, address: str) -> int:
        headers = {"Device-Token": token, "X-Forwarded-For": address}
        return (await proxy.fetch(f"{BASE}/api/v1/experiments", headers=headers)).code

    # nginx appends its own client, this machine, which is trusted too: what stands before it counts.
    assert [await ask("a", "192.0.2.1"), await ask("b", "192.0.2.1"), await ask("b", "192.0.2.2")] == [200, 429, 200]


async def test_a_connection_that_the_proxy_keeps_never_gives_502(proxy: Proxy) -> None:
    for pause in (0.3, 0.45, 0.5, 0.55, 0.9, 1.0, 1.05, 1.1):
        await asyncio.sleep(pause)
        posted = await proxy.fetch(f"{BASE}/ofrep/v1/evaluate/flags", method="POST", body="{}")
        assert posted.code == 415


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/abtest", "/"),
        ("/abtest/", "/"),
        ("/abtest?a=b", "/?a=b"),
        ("/abtest/why?a", "/why?a"),
        ("/abtesting", "/abtesting"),
        ("/why", "/why"),
        ("/", "/"),
    ],
)
def test_a_target_is_the_same_with_and_without_it(target: str, expected: str) -> None:
    assert stripped(BASE, target) == expected


@pytest.mark.parametrize("base", ["/", "abtest", "/abtest/", "/a b", "/a//b", "/..", '/"', "//a"])
def test_a_base_path_that_can_not_be_one_is_refused(run: Run, base: str) -> None:
    with pytest.raises(InvalidSetting, match="base-path: must look like /abtest"):
        check_base_path(base)
    assert isinstance(run("serve", "--base-path", base).exception, InvalidSetting)


@pytest.mark.parametrize(
    "base", ["/api", "/api/v1", "/plan", "/why/abtest", "/people", "/audit", "/sign-in", "/apps"]
)
def test_a_base_path_that_begins_like_a_path_of_the_server_is_refused(base: str) -> None:
    with pytest.raises(InvalidSetting, match="base-path: must not begin with /"):
        check_base_path(base)


def test_no_base_path_can_be_the_first_part_of_a_route() -> None:
    services = wired(SQLiteStore(Path("abtest.db")), Settings())
    first = {pattern.removeprefix(IN_APP).split("/")[1] for pattern, _, _, _ in routes(services)} - {""}
    assert {"ofrep", "robots.txt"} <= first <= set(TAKEN)


@pytest.mark.parametrize("base", ["", "/abtest", "/tests/ab-test.v1", "/apiary"])
def test_a_base_path_that_can_be_one_is_taken(base: str) -> None:
    check_base_path(base)
