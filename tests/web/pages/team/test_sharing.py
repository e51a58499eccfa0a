"""The page behind a shared link: one experiment, and no way to anything else."""

import re

import pytest
from tornado.httpclient import HTTPResponse

from abtest import clock
from abtest.domain import NewExperiment, Role
from abtest.management import AppService, ExperimentService, SharedLinkService
from abtest.results import worker
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from tests.conftest import Client, serving
from tests.scenes import ANNA, experiment, tokens
from tests.web.pages.test_dashboard import variants
from tests.web.pages.test_handlers import Outline, app, demo, page, words
from tests.web.visitors import PASSWORD, Visitor, person, signed_in

__all__ = ["app"]

LINKS = "/experiments/price/shared-links"
WAY_OUT = re.compile(r'<(?:a|form|script|iframe|base)\b|(?:href|src)="(?!/static/)')


async def shared(store: SQLiteStore, key: str, app: str = "default") -> str:
    """The path of a new link."""
    _, secret = await SharedLinkService(store).add(key, app=app, by=ANNA)
    return f"/shared/{secret}"


async def ask(client: Client, path: str, method: str = "GET") -> HTTPResponse:
    return await client.fetch(path, method=method, headers={"Accept": "text/html"})


async def test_a_link_shows_the_decision_and_what_the_figures_said(client: Client, store: SQLiteStore) -> None:
    await demo(store)
    await ExperimentService(store, by=ANNA).finish("price", "20", "it <sells> more")
    await worker.tick(store)
    html = await page(client, await shared(store, "price"))
    Outline(html)
    said = words(html)
    assert re.search(
        r"price finished does another .* Winner: 20 it &lt;sells&gt; more Decided by anna, \d+ \w+ 20\d\d, \d\d:\d\d "
        r".*What the figures said Not enough data.* Amount of purchase primary .* 10 450 .*"
        r"Enrolment over time devices per .* UTC .*Every variant has its exact share of devices\..* Figures as of ",
        said,
    )


async def test_nothing_else_can_be_reached_or_read_from_it(client: Client, store: SQLiteStore) -> None:
    await AppService(store, by=ANNA).add("staging")
    await demo(store)
    for path in (await shared(store, "price"), "/shared/nothing"):
        html = await page(client, path)
        assert WAY_OUT.findall(html) == []
        for other in ("button_color", "staging", "Simulate", "device-5", "Sign in"):
            assert other not in html


async def test_it_is_kept_and_indexed_nowhere(client: Client, store: SQLiteStore) -> None:
    await demo(store)
    path = await shared(store, "price")
    for asked, method, status in ((path, "GET", 200), (path, "HEAD", 200), ("/shared/nothing", "GET", 404)):
        answer = await ask(client, asked, method)
        assert answer.code == status
        assert answer.headers["X-Robots-Tag"] == "noindex"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in answer.headers


async def test_a_link_that_was_revoked_and_one_that_never_was_are_answered_alike(
    client: Client, store: SQLiteStore
) -> None:
    await demo(store)
    path = await shared(store, "price")
    await SharedLinkService(store).revoke(1, by=ANNA)
    answers = [await ask(client, each) for each in (path, f"{path}x", "/shared/x", "/shared/%00")]
    assert [each.code for each in answers] == [404] * 4
    assert len({each.body for each in answers}) == 1
    assert "This link does not work It was revoked, or a part of it is missing." in words(answers[0].body.decode())


async def test_a_link_is_of_one_app_and_needs_no_path_of_it(client: Client, store: SQLiteStore) -> None:
    await AppService(store, by=ANNA).add("staging")
    for key, values in (("default", ("red", "blue")), ("staging", ("round", "square"))):
        await store.add([NewExperiment("look", variants(*values))], clock.now(), app=key)
    await worker.tick(store)
    path = await shared(store, "look", "staging")
    said = words(await page(client, path))
    assert "round" in said
    assert "red" not in said
    assert (await ask(client, f"/apps/staging{path}")).code == 404


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ((), "look running No metric was chosen, so there is no verdict."),
        (("archive",), "archived No metric was chosen"),
        (("finish", "archive"), "archived Finished without a winner Decided by anna"),
    ],
)
async def test_a_link_works_in_every_status(
    client: Client, store: SQLiteStore, does: tuple[str, ...], said: str
) -> None:
    await store.add([experiment("look", "1", "1")], clock.now())
    await store.enrol(tokens("device", 10), clock.now())
    path = await shared(store, "look")
    assert "No figures yet" in words(await page(client, path))
    for each in does:
        await getattr(ExperimentService(store, by=ANNA), each)("look")
    await worker.tick(store)
    shown = words(await page(client, path))
    assert said in shown
    assert "look-0 5 50.0% 50.0%" in shown


async def test_an_editor_shares_and_revokes_on_the_page(client: Client, store: SQLiteStore) -> None:
    await demo(store)
    anna = await signed_in(client, store, Role.EDITOR)
    assert "Anyone with the link sees these results" in (await anna.get("/experiments/price")).body.decode()
    assert "No link works at the moment." in (await anna.get(LINKS)).body.decode()
    answer = await anna.post(LINKS, note="for <the> board")
    assert (answer.code, answer.headers["Cache-Control"]) == (200, "private, no-store")
    html = answer.body.decode()
    Outline(html)
    link = re.search(f'value="{client.address}(/shared/[\\w-]{{43}})" readonly', html)
    assert link
    assert "for &lt;the&gt; board anna just now" in words(html)
    assert "price" in await page(client, link[1])
    assert link[1] not in (await anna.get(LINKS)).body.decode()
    revoked = await anna.post(f"{LINKS}/1/revoke")
    assert (revoked.code, anna.led(revoked)) == (303, f"{LINKS} link_revoked")
    assert "The link is revoked" in (await anna.get(LINKS)).body.decode()
    assert (await ask(client, link[1])).code == 404


async def test_a_note_that_is_too_long_is_said_and_kept(client: Client, store: SQLiteStore) -> None:
    await demo(store)
    anna = await signed_in(client, store, Role.EDITOR)
    await anna.get(LINKS)
    refused = await anna.post(LINKS, note="x" * 201)
    assert refused.code == 422
    assert "Note: must have at most 200 characters." in refused.body.decode()
    assert f'value="{"x" * 201}"' in refused.body.decode()
    assert await SharedLinkService(store).all() == []


async def test_a_viewer_sees_no_form_and_can_not_share(client: Client, store: SQLiteStore) -> None:
    await demo(store)
    await shared(store, "price")
    ben = await signed_in(client, store, Role.VIEWER)
    assert "shared-links" not in (await ben.get("/experiments/price")).body.decode()
    assert [(await ben.get(LINKS)).code, (await ben.post(LINKS)).code] == [403, 403]
    assert (await ben.post(f"{LINKS}/1/revoke")).code == 403
    assert len(await SharedLinkService(store).all()) == 1


async def test_another_site_shares_nothing(client: Client, store: SQLiteStore) -> None:
    await demo(store)
    anna = await signed_in(client, store, Role.EDITOR)
    assert (await anna.post(LINKS, {"Sec-Fetch-Site": "cross-site"})).code == 403
    anna.token = "0" * 32
    assert (await anna.post(LINKS)).code == 403
    assert await SharedLinkService(store).all() == []


@pytest.mark.parametrize("link", [f"{LINKS}/2", f"{LINKS}/x", "/experiments/button_color/shared-links/1"])
async def test_what_is_no_link_of_an_experiment_can_not_be_revoked(
    client: Client, store: SQLiteStore, link: str
) -> None:
    await demo(store)
    await shared(store, "price")
    anna = await signed_in(client, store, Role.EDITOR)
    await anna.get(LINKS)
    assert (await anna.post(f"{link}/revoke")).code == 404
    assert len(await SharedLinkService(store).all()) == 1


async def test_pages_of_another_app_share_what_is_there(client: Client, store: SQLiteStore) -> None:
    await AppService(store, by=ANNA).add("staging")
    await store.add([experiment("look", "1", "1")], clock.now(), app="staging")
    anna = await signed_in(client, store, Role.EDITOR, "staging")
    path = "/apps/staging/experiments/look/shared-links"
    await anna.get(path)
    await anna.post(path)
    revoked = await anna.post(f"{path}/1/revoke")
    assert revoked.headers["Location"] == path
    assert (await anna.get(LINKS)).code == 403


async def test_a_link_is_what_the_browser_asks_a_proxy_for(store: SQLiteStore) -> None:
    await demo(store)
    settings = Settings(database=f"sqlite:///{store.path}", base_path="/ab", trusted_proxies="127.0.0.1")
    async with serving(store, settings) as client:
        await person(store, "anna")
        anna = Visitor(client, **{"X-Forwarded-Proto": "https", "Host": "ab.example.com"})
        for path in ("/ab/sign-in", f"/ab{LINKS}"):
            await anna.get(path)
            answer = await anna.post(path, name="anna", password=PASSWORD)
        link = re.search(r'value="https://ab\.example\.com(/ab/shared/[\w-]{43})" readonly', answer.body.decode())
        assert link
        shown = (await Visitor(client).get(link[1])).body.decode()
        assert 'href="/ab/static/shared.css"' in shown
        assert WAY_OUT.findall(shown.replace("/ab/static/", "/static/")) == []
