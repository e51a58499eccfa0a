"""Whatever stands in a text is text: every field that takes one has a script in it, and every page is looked at."""

import json
from html.parser import HTMLParser
from urllib.parse import quote, urlsplit

import pytest
from markupsafe import escape

from abtest.bootstrap import wired
from abtest.domain import Role
from abtest.management import AccessTokenService
from abtest.results import worker
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import ANNA
from tests.web.visitors import signed_in

SCRIPT = "\"'><script src=x>{{7*6}}</script>"
ADDRESSES = ("href", "src", "action", "formaction")
FIRST = ("/", "/audit", "/people", "/access-tokens", "/apps", "/system", "/plan", "/simulate", "/why", "/docs")
ASKED = (
    "/?q={}",
    "/audit?by={}&about={}&since={}",
    "/sign-in?following={}",
    "/plan?metric={}",
    "/simulate?devices={}",
)


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}", demo="on")))


async def fill(client: Client, secret: str) -> str:
    """Put the script into every field; the path of a shared link."""
    variants = [{"value": SCRIPT, "weight": 1}, {"value": f"#FF0000{SCRIPT}", "weight": 1}]
    metrics, answer = ["conversion:purchase", "amount:purchase"], {}
    for path, document in (
        ("people", {"name": SCRIPT, "role": "editor"}),
        ("access-tokens", {"name": SCRIPT, "role": "viewer"}),
        *(
            ("experiments", {"key": key, "description": SCRIPT, "variants": variants, "metrics": metrics, **more})
            for key, more in (("running", {"audience": [f"country={SCRIPT}"]}), ("finished", {}))
        ),
        ("groups", {"key": "group", "description": SCRIPT}),
        ("groups/group/join", {"experiment": "finished", "share": "30%"}),
        ("holdouts", {"key": "holdout", "share": "5%", "description": SCRIPT, "metrics": metrics}),
        ("test-devices", {"token": '"><script', "values": {"running": SCRIPT}, "note": SCRIPT}),
        ("experiments/finished/finish", {"winner": SCRIPT, "because": SCRIPT}),
        ("experiments/finished/shared-links", {"note": SCRIPT}),
    ):
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        body = json.dumps(document)
        made = await client.fetch(f"/api/v1/admin/{path}", method="POST", body=body, headers=headers)
        assert made.code in {200, 201}, (path, made.body)
        answer = json.loads(made.body)
    return urlsplit(answer["link"]).path


class Page(HTMLParser):
    """Addresses on a page; and what no text may bring there: scripts, code in attributes, other addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links, self.unsafe = list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            address = (value or "") if name in ADDRESSES else "/"
            if name == "href" and tag == "a":
                self.links.append(address.partition("#")[0])
            ours = address.startswith("/static/" if tag == "script" and name == "src" else ("/", "#", "https://"))
            if name.startswith("on") or name == "style" or not ours:
                self.unsafe.append(f"<{tag} {name}={value}>")


async def test_no_text_is_a_script_on_any_page(client: Client, store: SQLiteStore) -> None:
    browser = await signed_in(client, store)
    _, secret = await AccessTokenService(store).add("token", Role.ADMIN, by=ANNA)
    shared = await fill(client, secret)
    country = f"/api/v1/experiments?country={quote(SCRIPT)}"
    await client.fetch(country, headers={"Device-Token": '"><script'})
    await worker.tick(store)
    left = [*FIRST, shared, *(each.replace("{}", quote(SCRIPT)) for each in ASKED)]
    seen, escaped = set[str](), 0
    while left:
        path = left.pop()
        if path in seen or not path.startswith("/") or path.startswith(("/static/", "/api/")):
            continue
        seen.add(path)
        text = (await browser.get(path)).body.decode()
        page = Page(text)
        assert page.unsafe == [], path
        escaped += str(escape(SCRIPT)) in text
        left += page.links
    assert escaped > 20
    assert len(seen) > 40
