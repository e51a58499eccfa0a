"""The life of experiments, as programs live it."""

import asyncio
import json
from typing import Any

import pytest

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import Role, Sought
from abtest.management import ExperimentService, JournalService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust import VerificationService
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client, Run, serving
from tests.scenes import ANNA, answers, experiment, tokens
from tests.web.programs import Program, program, refused, said
from tests.web.visitors import signed_in

CHECKOUT = {
    "key": "checkout",
    "description": "one page or two?",
    "variants": [{"value": "one", "weight": 33.3}, {"value": "two", "weight": "66.6"}],
    "metrics": ["conversion:purchase"],
    "audience": ["platform=ios"],
    "coverage": "20%",
    "planned": 1500,
    "draft": True,
}


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


async def test_an_experiment_lives_from_a_draft_to_the_archive(client: Client, store: SQLiteStore) -> None:
    ci = await program(client, store)
    made = await ci.send("POST", "/experiments", CHECKOUT)
    assert (made.code, made.headers["Location"]) == (201, "/api/v1/admin/experiments/checkout")
    there = await ci.send("GET", "/experiments/checkout")
    assert (there.body, there.headers["ETag"]) == (made.body, made.headers["ETag"])
    assert there.headers["Content-Type"] == "application/json"
    assert said(there)["status"] == "draft"
    for action, status in (("start", "running"), ("pause", "paused"), ("resume", "running")):
        answer = await ci.send("POST", f"/experiments/checkout/{action}")
        assert (answer.code, said(answer)["status"]) == (200, status)
    weights = {"variants": [{"value": "two", "weight": 1}, {"value": "one", "weight": 3}], "coverage": "100%"}
    weighed = said(await ci.send("POST", "/experiments/checkout/weights", weights | {"stop_at": 900}))
    assert [phase["weights"] for phase in weighed["phases"]] == [["33.3", "66.6"], ["3", "1"]]
    assert (weighed["coverage"], weighed["stop_at"]) == ("100%", 900)
    ended = said(await ci.send("POST", "/experiments/checkout/finish", {"winner": "two", "because": "it sells"}))
    assert (ended["status"], ended["winner"], ended["because"]) == ("finished", "two", "it sells")
    assert ended["decided_by"] == {"kind": "access token", "name": "ci"}
    assert said(await ci.send("POST", "/experiments/checkout/archive"))["status"] == "archived"
    assert [each["key"] for each in await ci.get("/experiments")] == ["checkout"]
    assert (await VerificationService(store).verify()).findings == ()


async def test_reading_gives_what_the_command_line_shows(client: Client, store: SQLiteStore, run: Run) -> None:
    ci = await program(client, store, Role.VIEWER)
    await ExperimentService(store, by=ANNA).add([experiment("color", "1", "1", metrics=["conversion:buy"])])
    for words, path in ((("show", "color"), "/experiments/color"), (("list",), "/experiments")):
        line = ("--database", f"sqlite:///{store.path}", "experiments", *words, "--json")
        shown = await asyncio.to_thread(run, *line)
        assert await ci.get(path) == json.loads(shown.stdout)


async def test_a_change_of_several_fields_is_one(client: Client, store: SQLiteStore) -> None:
    ci = await program(client, store)
    made = await ci.send("POST", "/experiments", CHECKOUT)
    fields = {"description": None, "metrics": ["amount:buy"], "coverage": None, "planned": 3000, "baseline": "two"}
    fields |= {"end_at": "2099-12-01T09:00:00Z", "stop_at": 50}
    answer = await ci.send("PATCH", "/experiments/checkout", fields, If_Match=made.headers["ETag"])
    changed = said(answer)
    assert (answer.code, answer.headers["ETag"]) == (
        200,
        (await ci.send("GET", "/experiments/checkout")).headers["ETag"],
    )
    wanted = fields | {"description": "", "coverage": "100%"}
    assert {name: changed[name] for name in fields} == wanted
    assert (changed["variants"], len(changed["phases"])) == (said(made)["variants"], 2)
    (entry,) = await JournalService(store).newest(Sought(), 1)
    assert (entry.by.kind, entry.by.name, entry.by.address) == ("access token", "ci", "127.0.0.1")
    assert entry.after_facts["planned"] == 3000


async def test_of_two_changes_at_once_one_wins_and_the_other_is_refused(client: Client, store: SQLiteStore) -> None:
    ci = await program(client, store)
    tag = (await ci.send("POST", "/experiments", CHECKOUT)).headers["ETag"]
    for _ in range(5):
        both = [ci.send("PATCH", "/experiments/checkout", {"description": f"{tag}{n}"}, If_Match=tag) for n in "ab"]
        first, second = sorted(await asyncio.gather(*both), key=lambda answer: answer.code)
        assert first.code == 200
        refused(second, 412, "changed_meanwhile")
        assert (await ci.get("/experiments/checkout"))["description"] == said(first)["description"]
        tag = first.headers["ETag"]


async def test_a_change_says_what_was_seen(client: Client, store: SQLiteStore) -> None:
    ci = await program(client, store)
    tag = (await ci.send("POST", "/experiments", CHECKOUT)).headers["ETag"]
    path, body = "/experiments/checkout", {"description": "x"}
    refused(await ci.send("PATCH", path, body), 428, "precondition_required", "If-Match")
    for other in (f"W/{tag}", '"x"', tag.strip('"'), f'"{"0" * 32}-{"0" * 8}"', f'"x", W/{tag}'):
        refused(await ci.send("PATCH", path, body, If_Match=other), 412, "changed_meanwhile")
    for other in (f'"x", {tag}', "*"):
        assert (await ci.send("PATCH", path, body, If_Match=other)).code == 200
        tag = (await ci.send("GET", path)).headers["ETag"]
        body["description"] += "y"
    refused(await ci.send("POST", f"{path}/start", If_Match='"x"'), 412, "changed_meanwhile")
    assert (await ci.send("POST", f"{path}/start", If_Match=tag)).code == 200
    refused(await ci.send("POST", f"{path}/pause", If_Match=tag), 412, "changed_meanwhile")
    refused(await ci.send("PATCH", "/experiments/nothing", body, If_Match="*"), 404, "unknown_experiment")


async def test_an_unchanged_answer_is_not_sent_again_and_devices_that_come_change_no_revision(
    client: Client, store: SQLiteStore
) -> None:
    ci = await program(client, store)
    await ExperimentService(store, by=ANNA).add([experiment("color", "1", "1")])
    before = (await ci.send("GET", "/experiments/color")).headers["ETag"]
    same = await ci.send("GET", "/experiments/color", If_None_Match=before)
    assert (same.code, same.body, same.headers["ETag"]) == (304, b"", before)
    await answers(store, tokens("a", 3))
    after = await ci.send("GET", "/experiments/color", If_None_Match=before)
    assert (after.code, said(after)["phases"][0]["enrolled"]) == (200, 3)
    assert (await ci.send("PATCH", "/experiments/color", {"description": "x"}, If_Match=before)).code == 200


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"created_at": "2026-12-01T09:00:00Z"}, "invalid_field", "created_at: there is no such field"),
        ({"unknown": None}, "invalid_field", "unknown: there is no such field"),
        ({"group_share": 0.5}, "invalid_field", "group_share: must be a text"),
        ({"variants": [{"value": "a", "weight": 1, "color": 1}]}, "invalid_field", "variants[0].color"),
        ({"variants": [{"value": "a", "weight": 1}]}, "invalid_experiment", "variants: must be 2 to 20"),
        ({"variants": [{"value": "a", "weight": "1e999999999"}]}, "invalid_experiment", "variants[0].weight:"),
        ({"variants": [{"value": "a", "weight": -1}]}, "invalid_experiment", "variants[0].weight:"),
        ({"key": "No Key"}, "invalid_experiment", "key:"),
        ({"key": None}, "invalid_field", "key: must be given"),
        ({"planned": 10**40}, "invalid_experiment", "planned"),
        ({"status": "finished"}, "invalid_field", "status: an experiment is created as a draft or running"),
        ({"group": "nothing", "group_share": "5%"}, "invalid_field", "group: there is no such group"),
        ({"group": ["nothing"], "group_share": "5%"}, "invalid_field", "group"),
        ({"description": "a\nb"}, "invalid_experiment", "description"),
        ({"x" * 300: 1}, "invalid_field", "xxx"),
        ({"a\u202eb": 1}, "invalid_field", "body: there is no such field"),
    ],
)  # fmt: skip
async def test_what_can_not_be_is_refused_by_name(
    client: Client, store: SQLiteStore, fields: dict[str, Any], code: str, words: str
) -> None:
    ci = await program(client, store)
    sent = {"key": "color", "variants": [{"value": "a", "weight": 1}, {"value": "b", "weight": 1}]}
    refused(await ci.send("POST", "/experiments", sent | fields), 422, code, words)
    assert await ci.get("/experiments") == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"nonsense", 400, "invalid_json"),
        (b'{"key":"a","key":"b"}', 400, "invalid_json"),
        (b'{"planned":NaN}', 400, "invalid_json"),
        (b'{"planned":' + b"9" * 5000 + b"}", 400, "invalid_json"),
        (b"[" * 20_000 + b"]" * 20_000, 400, "invalid_json"),
        (b'{"audience":' * 5_000 + b"1" + b"}" * 5_000, 400, "invalid_json"),
        (b'{"description":"\\ud800"}', 400, "invalid_json"),
        (b'{"\\ud800":1}', 400, "invalid_json"),
        (b'{"description":"\xff"}', 400, "invalid_json"),
        (b"[]", 422, "invalid_field"),
        (b"null", 422, "invalid_field"),
        (b'"text"', 422, "invalid_field"),
        (b" " * 65_537, 413, "too_large"),
    ],
    ids=lambda given: str(given)[:20],
)
async def test_hostile_bodies_are_refused(
    client: Client, store: SQLiteStore, body: bytes, status: int, code: str
) -> None:
    ci = await program(client, store)
    tag = (await ci.send("POST", "/experiments", CHECKOUT)).headers["ETag"]
    refused(await ci.send("POST", "/experiments", body), status, code)
    refused(await ci.send("PATCH", "/experiments/checkout", body, If_Match=tag), status, code)
    for action in ("finish", "weights", "start"):
        if body or action == "weights":
            refused(await ci.send("POST", f"/experiments/checkout/{action}", body), status, code)
    assert (await ci.send("GET", "/experiments/checkout")).headers["ETag"] == tag
    assert len(await ci.get("/experiments")) == 1


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json; charset=latin-1"],
)
async def test_another_content_type_is_refused(client: Client, store: SQLiteStore, kind: str) -> None:
    ci = await program(client, store)
    answer = await ci.send("POST", "/experiments", b'{"key":"a"}', Content_Type=kind)
    refused(answer, 415, "unsupported_media_type")


async def test_a_key_is_used_once_and_what_its_status_does_not_allow_is_a_conflict(
    client: Client, store: SQLiteStore
) -> None:
    ci = await program(client, store)
    await ci.send("POST", "/experiments", CHECKOUT)
    refused(await ci.send("POST", "/experiments", CHECKOUT), 409, "experiment_exists")
    for action in ("pause", "resume", "finish"):
        refused(await ci.send("POST", f"/experiments/checkout/{action}"), 409, "impossible_transition")
    refused(await ci.send("POST", "/experiments/checkout/start", {"at": 1}), 422, "invalid_field", "at")
    refused(await ci.send("POST", "/experiments/checkout/weights", {}), 422, "invalid_field", "give variants")
    change = {"variants": [{"value": "one", "weight": 1}, {"value": "three", "weight": 1}]}
    refused(await ci.send("PATCH", "/experiments/checkout", change, If_Match="*"), 409, "impossible_transition")
    refused(await ci.send("POST", "/experiments/checkout/weights", change), 422, "invalid_experiment", "three")


@pytest.mark.parametrize("key", ["nothing", "a%2Fb", "%2e%2e", "No%20Key", "%00", "a" * 500, "checkout%0A"])
async def test_a_key_that_no_experiment_has_is_unknown(client: Client, store: SQLiteStore, key: str) -> None:
    ci = await program(client, store)
    await ci.send("POST", "/experiments", CHECKOUT)
    for method, path in (("GET", key), ("PATCH", key), ("POST", f"{key}/start"), ("POST", f"{key}/finish")):
        answer = await ci.send(method, f"/experiments/{path}", None if method == "GET" else {}, If_Match="*")
        refused(answer, 404, "unknown_experiment")
    refused(await ci.send("GET", "/experiments/checkout/start/"), 404, "not_found")
    refused(await ci.send("GET", "/experiments/"), 404, "not_found")


async def test_methods_that_a_path_does_not_take_are_named(client: Client, store: SQLiteStore) -> None:
    ci = await program(client, store)
    await ci.send("POST", "/experiments", CHECKOUT)
    for path, allowed in (
        ("/experiments", "GET, HEAD, POST"),
        ("/experiments/checkout", "GET, HEAD, PATCH"),
        ("/experiments/checkout/start", "POST"),
    ):
        for method in ("OPTIONS", "PUT", "DELETE"):
            answer = await ci.send(method, path, Origin="https://evil.example")
            assert (answer.code, answer.headers["Allow"]) == (405, allowed)
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    head, got = await ci.send("HEAD", "/experiments/checkout"), await ci.send("GET", "/experiments/checkout")
    assert (head.code, head.body, head.headers["ETag"]) == (200, b"", got.headers["ETag"])


async def test_no_other_origin_may_read_what_is_answered(client: Client, store: SQLiteStore) -> None:
    ci = await program(client, store)
    for method, path, body in (
        ("POST", "/experiments", CHECKOUT), ("GET", "/experiments", None), ("GET", "/experiments/nothing", None),
        ("POST", "/experiments/checkout/start", None), ("POST", "/experiments", b"[]"),
    ):  # fmt: skip
        answer = await ci.send(method, path, body, Origin="https://shop.example")
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_each_app_has_its_own_experiments(client: Client, store: SQLiteStore) -> None:
    await store.add_app("staging", clock.now())
    staging, path = await program(client, store, app="staging"), "/apps/staging/api/v1/admin"
    refused(await staging.send("GET", "/experiments"), 403, "forbidden")
    refused(await staging.send("POST", "/experiments", CHECKOUT), 403, "forbidden")
    inside = await program(client, store, app="staging", base=path)
    made = await inside.send("POST", "/experiments", CHECKOUT)
    assert (made.code, made.headers["Location"]) == (201, f"{path}/experiments/checkout")
    assert len(await inside.get("/experiments")) == 1
    everywhere = await program(client, store)
    assert await everywhere.get("/experiments") == []
    nowhere = await program(client, store, base="/apps/nothing/api/v1/admin")
    refused(await nowhere.send("GET", "/experiments"), 404, "unknown_app")


async def test_the_location_lies_under_the_base_path(store: SQLiteStore) -> None:
    settings = Settings(database=f"sqlite:///{store.path}", base_path="/abtest")
    async with serving(store, settings) as client:
        ci = await program(client, store, base="/abtest/api/v1/admin")
        made = await ci.send("POST", "/experiments", CHECKOUT)
        assert made.headers["Location"] == "/abtest/api/v1/admin/experiments/checkout"


async def test_a_viewer_only_reads(client: Client, store: SQLiteStore) -> None:
    await (await program(client, store)).send("POST", "/experiments", CHECKOUT)
    viewer = await program(client, store, Role.VIEWER)
    assert len(await viewer.get("/experiments")) == 1
    refused(await viewer.send("POST", "/experiments", CHECKOUT), 403, "forbidden", "editor")
    refused(await viewer.send("PATCH", "/experiments/checkout", {}, If_Match="*"), 403, "forbidden")
    refused(await viewer.send("POST", "/experiments/checkout/start"), 403, "forbidden")
    assert (await viewer.get("/experiments/checkout"))["status"] == "draft"


async def test_a_person_who_signed_in_changes_with_the_token_of_a_form(client: Client, store: SQLiteStore) -> None:
    anna = await signed_in(client, store, Role.EDITOR)
    await anna.get("/")
    cookie = "; ".join(f"{name}={value}" for name, value in anna.cookies.items())
    browser = Program(client, Cookie=cookie)
    refused(await browser.send("POST", "/experiments", CHECKOUT), 403, "forbidden")
    refused(await browser.send("POST", "/experiments", CHECKOUT, X_Xsrftoken="wrong"), 403, "forbidden")
    cross = {"X_Xsrftoken": anna.token, "Sec_Fetch_Site": "cross-site"}
    refused(await browser.send("POST", "/experiments", CHECKOUT, **cross), 403, "forbidden")
    made = await browser.send("POST", "/experiments", CHECKOUT, X_Xsrftoken=anna.token)
    assert made.code == 201
    (entry,) = await JournalService(store).newest(Sought(), 1)
    assert (entry.by.kind, entry.by.name, entry.by.address) == ("person", "anna", "127.0.0.1")
