"""Groups and holdouts, as programs change them."""

import asyncio
import json
from typing import Any

import pytest

from abtest.bootstrap import wired
from abtest.domain import Role
from abtest.management import ExperimentService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust import VerificationService
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client, Run
from tests.scenes import ANNA, answers, experiment, tokens
from tests.web.programs import program, refused, said


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


async def test_experiments_join_and_leave_a_group(client: Client, store: SQLiteStore) -> None:
    ci = await program(client, store)
    await ExperimentService(store, by=ANNA).add([experiment("one", "1", "1"), experiment("two", "1", "1")])
    made = await ci.send("POST", "/groups", {"key": "screen", "description": "the first screen"})
    assert (made.code, made.headers["Location"]) == (201, "/api/v1/admin/groups/screen")
    for key, share in (("one", "60%"), ("two", "0.4")):
        assert (await ci.send("POST", "/groups/screen/join", {"experiment": key, "share": share})).code == 200
    shares = [{"key": "one", "share": "60%"}, {"key": "two", "share": "40%"}]
    assert (await ci.get("/groups/screen"))["experiments"] == shares
    assert (await ci.get("/experiments/one"))["group_share"] == "60%"
    left = said(await ci.send("POST", "/groups/screen/leave", {"experiment": "one"}))
    assert (left["experiments"], left["free"]) == ([{"key": "two", "share": "40%"}], "60%")
    assert await ci.get("/groups") == [left]
    await answers(store, tokens("a", 20))
    assert (await VerificationService(store).verify()).findings == ()


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "words"),
    [
        ("/groups", {"key": "screen"}, 409, "group_exists", "already exists"),
        ("/groups", {"key": "No"}, 422, "invalid_experiment", "key"),
        ("/groups", {"key": "x", "color": 1}, 422, "invalid_field", "color: there is no such field"),
        ("/groups/nothing/join", {"experiment": "one", "share": "5%"}, 404, "unknown_experiment", "group"),
        ("/groups/screen/join", {"experiment": "nothing", "share": "5%"}, 422, "invalid_field", "experiment: "),
        ("/groups/screen/join", {"experiment": "one", "share": "200%"}, 422, "invalid_experiment", "share"),
        ("/groups/screen/join", {"experiment": "one"}, 422, "invalid_field", "share: must be given"),
        ("/groups/screen/leave", {"experiment": "one"}, 409, "impossible_transition", "is not in the group"),
        ("/groups/screen/leave", {"experiment": "nothing"}, 422, "invalid_field", "experiment: "),
        ("/holdouts", {"key": "year", "share": "5%"}, 409, "holdout_exists", "already exists"),
        ("/holdouts", {"key": "other", "share": "100%"}, 422, "invalid_experiment", "share"),
        ("/holdouts", {"key": "other", "share": 5}, 422, "invalid_field", "share: must be a text"),
        ("/holdouts/nothing/end", None, 404, "unknown_experiment", "holdout"),
        ("/holdouts/year/metrics", {"metrics": ["nonsense"]}, 422, "invalid_experiment", "metric"),
        ("/holdouts/year/metrics", {}, 422, "invalid_field", "metrics: must be given"),
        ("/holdouts/year/end", {"now": True}, 422, "invalid_field", "now"),
    ],
)
async def test_what_can_not_be_done_with_groups_and_holdouts_is_refused(
    client: Client, store: SQLiteStore, path: str, body: Any, status: int, code: str, words: str
) -> None:
    ci = await program(client, store)
    await ExperimentService(store, by=ANNA).add([experiment("one", "1", "1")])
    await ci.send("POST", "/groups", {"key": "screen"})
    await ci.send("POST", "/holdouts", {"key": "year", "share": "5%"})
    refused(await ci.send("POST", path, body), status, code, words)


async def test_a_holdout_is_made_measured_and_ended(client: Client, store: SQLiteStore) -> None:
    ci = await program(client, store)
    wanted = {"key": "year", "share": "5%", "description": "all of it", "metrics": ["amount:buy"]}
    made = await ci.send("POST", "/holdouts", wanted)
    assert (made.code, made.headers["Location"]) == (201, "/api/v1/admin/holdouts/year")
    seen = made.headers["ETag"]
    measured = await ci.send("POST", "/holdouts/year/metrics", {"metrics": ["conversion:buy"]}, If_Match=seen)
    assert said(measured)["metrics"] == ["conversion:buy"]
    refused(await ci.send("POST", "/holdouts/year/end", If_Match=seen), 412, "changed_meanwhile")
    assert (await ci.send("POST", "/holdouts/year/end", If_Match=measured.headers["ETag"])).code == 200
    assert (await ci.get("/holdouts/year"))["status"] == "ended"
    refused(await ci.send("POST", "/holdouts/year/end"), 409, "impossible_transition")
    assert (await ci.get("/holdouts/year/results"))["key"] == "year"


async def test_groups_and_holdouts_are_as_the_command_line_shows_them(
    client: Client, store: SQLiteStore, run: Run
) -> None:
    ci = await program(client, store)
    await ci.send("POST", "/groups", {"key": "screen"})
    await ci.send("POST", "/holdouts", {"key": "year", "share": "5%"})
    for kind in ("groups", "holdouts"):
        shown = await asyncio.to_thread(run, "--database", f"sqlite:///{store.path}", kind, "list", "--json")
        assert await ci.get(f"/{kind}") == json.loads(shown.stdout) != []


async def test_a_viewer_reads_groups_and_holdouts_and_changes_none(client: Client, store: SQLiteStore) -> None:
    viewer = await program(client, store, Role.VIEWER)
    assert await viewer.get("/groups") == await viewer.get("/holdouts") == []
    refused(await viewer.send("POST", "/groups", {"key": "screen"}), 403, "forbidden")
    refused(await viewer.send("POST", "/holdouts", {"key": "year", "share": "5%"}), 403, "forbidden")
