"""`abtest people` and `abtest access-tokens`, as typed."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from abtest.domain import Identity
from abtest.errors import Conflict, InvalidField, InvalidSetting, UnknownAccessToken, UnknownApp, UnknownPerson
from abtest.management import AccessTokenService, SignInService
from tests.commands.test_apps import STAGING
from tests.conftest import Run
from tests.processes import run as run_process
from tests.stores import own_store

LINK = re.compile(r"http://127\.0\.0\.1:8080/sign-in/link/([\w-]{43})\n")
ANNA = ("people", "add", "anna", "--role", "admin")
CI = ("access-tokens", "add", "ci", "--role", "editor")


def use(link: str) -> str:
    """Use a link in the database of this folder; whose it was."""

    async def using() -> str:
        async with own_store() as store:
            service = SignInService(store)
            return (await service.session(await service.use_link(link, "correct horse battery"))).person.name

    return asyncio.run(using())


def role_of(token: str) -> str:
    """The role of an access token in the database of this folder, which is used."""

    async def finding() -> str:
        async with own_store() as store:
            return (await AccessTokenService(store).find(token)).role

    return asyncio.run(finding())


def test_a_person_is_added_given_a_role_listed_and_removed(run: Run) -> None:
    run("apps", "add", "staging")
    assert run("people", "list").stdout == "nobody yet; add the first one with: abtest people add NAME --role admin\n"
    added = run(*ANNA)
    link = LINK.fullmatch(added.stdout)
    assert link, added.stdout
    told = r"added anna, admin of every app; this link sets the password, once, until 20\S+Z:\n"
    assert re.fullmatch(told, added.stderr)
    assert use(link[1]) == "anna"
    run("people", "add", "Ben Olsen", "--role", "editor", *STAGING)
    listed = run("people", "list").stdout.splitlines()
    assert re.fullmatch(r"NAME +ROLE +APP +ADDED +SEEN +PASSWORD +CONNECTED", listed[0])
    assert re.fullmatch(r"anna +admin +every app +20\S+Z +20\S+Z +yes +no", listed[1])
    assert re.fullmatch(r"Ben Olsen +editor +staging +20\S+Z +- +no +no", listed[2])
    assert run("people", "role", "ben olsen", "viewer").stdout == "Ben Olsen has the role viewer for staging\n"
    told = run("people", "role", "ben olsen", "admin", "--all-apps").stdout
    assert told == "Ben Olsen has the role admin for every app\n"
    assert run("people", "role", "anna", "editor", *STAGING).stdout == "anna has the role editor for staging\n"
    assert run("people", "remove", "anna").stdout == "removed anna\n"
    assert isinstance(run("people", "remove", "Ben Olsen").exception, Conflict)


def test_another_link_is_printed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*ANNA)
    linked = run("people", "link", "anna")
    link = LINK.fullmatch(linked.stdout)
    assert link, linked.stdout
    assert linked.stderr.startswith("this link sets the password of anna, once, until 20")
    assert use(link[1]) == "anna"
    monkeypatch.setenv("ABTEST_ADDRESS", "0.0.0.0")
    monkeypatch.setenv("ABTEST_PORT", "80")
    monkeypatch.setenv("ABTEST_BASE_PATH", "/abtest")
    assert run("people", "link", "anna").stdout.startswith("http://127.0.0.1:80/abtest/sign-in/link/")
    for url in ("https://ab.example.com/", "https://ab.example.com"):
        linked = run("people", "link", "anna", "--url", url)
        assert re.fullmatch(r"https://ab\.example\.com/sign-in/link/[\w-]{43}\n", linked.stdout)


def test_a_person_is_disconnected_from_an_account(run: Run) -> None:
    run(*ANNA)
    assert run("people", "disconnect", "anna").stdout == "anna has not signed in by single sign-on\n"

    async def prove() -> Identity:
        return Identity("https://id.example.com", "1", "anna")

    async def connect() -> None:
        async with own_store() as store:
            await SignInService(store).admit(prove, None)

    asyncio.run(connect())
    assert json.loads(run("people", "list", "--json").stdout)[0]["is_connected"]
    told = "disconnected anna: the next account with this name signs in as anna\n"
    assert run("people", "disconnect", "anna").stdout == told
    asyncio.run(connect())
    assert json.loads(run("people", "disconnect", "anna", "--json").stdout) == {"name": "anna", "accounts": 1}


def test_no_link_is_lost_where_it_can_not_be_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    link = LINK.fullmatch(run(*ANNA).stdout)
    assert link
    monkeypatch.setenv("ABTEST_PORT", "http")
    for line in (("people", "link", "anna"), ("people", "add", "ben", "--role", "admin")):
        assert isinstance(run(*line).exception, InvalidSetting)
    assert use(link[1]) == "anna"
    assert len(json.loads(run("people", "list", "--json").stdout)) == 1


def test_programs_read_people_as_json(run: Run) -> None:
    added = json.loads(run(*ANNA, "--json").stdout)
    assert LINK.fullmatch(f"{added.pop('link')}\n")
    assert re.fullmatch(r"20\S+Z", added.pop("link_expires_at"))
    assert json.loads(run("people", "list", "--json").stdout) == [added]
    assert re.fullmatch(r"20\S+Z", added.pop("created_at"))
    assert added.pop("seen_at") is None
    assert added == {"name": "anna", "role": "admin", "app": None, "has_password": False, "is_connected": False}
    run("people", "add", "ben", "--role", "admin")
    changed = json.loads(run("people", "role", "ben", "viewer", "--app", "default", "--json").stdout)
    assert (changed["role"], changed["app"]) == ("viewer", "default")
    assert json.loads(run("people", "link", "ben", "--json").stdout).keys() == {"name", "link", "link_expires_at"}
    assert json.loads(run("people", "remove", "ben", "--json").stdout) == {"name": "ben"}


def test_an_access_token_is_shown_once_listed_and_revoked(run: Run) -> None:
    run("apps", "add", "staging")
    assert "no access tokens yet" in run("access-tokens", "list").stdout
    added = run(*CI)
    assert added.stderr.endswith("added access token 1, ci, editor of every app; it is shown only once:\n")
    assert re.fullmatch(r"abt_[\w-]{43}\n", added.stdout)
    token = added.stdout.strip()
    assert role_of(token) == "editor"
    run("access-tokens", "add", "stats", "--role", "viewer", "--expires", "2999-12-31", *STAGING)
    listed = run("access-tokens", "list").stdout
    assert token not in listed
    heading, first, second = listed.splitlines()
    assert re.fullmatch(r"ID +NAME +ROLE +APP +EXPIRES +USED", heading)
    assert re.fullmatch(r" 1 +ci +editor +every app +- +20\S+Z", first)
    assert re.fullmatch(r" 2 +stats +viewer +staging +2999-12-31T23:59:59Z +-", second)
    assert run("access-tokens", "revoke", "1").stdout == "revoked access token 1\n"
    assert isinstance(run("access-tokens", "revoke", "1").exception, UnknownAccessToken)
    assert json.loads(run("access-tokens", "revoke", "2", "--json").stdout) == {"id": 2}


def test_programs_read_access_tokens_as_json(run: Run) -> None:
    added = json.loads(run(*CI, "--expires", "2999-12-31T12:00:00Z", "--json").stdout)
    assert re.fullmatch(r"abt_[\w-]{43}", added.pop("token"))
    assert json.loads(run("access-tokens", "list", "--json").stdout) == [added]
    assert re.fullmatch(r"20\S+Z", added.pop("created_at"))
    assert added == {
        "id": 1, "name": "ci", "role": "editor", "app": None, "expires_at": "2999-12-31T12:00:00Z", "used_at": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "error", "told"),
    [
        (("people", "add", "ANNA", "--role", "viewer"), Conflict, "there is a person 'ANNA' already"),
        (("people", "add", "", "--role", "viewer"), InvalidField, "name: must have 1 to 64 characters"),
        (("people", "add", "b\nen", "--role", "viewer"), InvalidField, "name: must be UTF-8 without control"),
        (("people", "add", "ben", "--role", "viewer", "--app", "x"), UnknownApp, "there is no app 'x'"),
        (("people", "role", "ben", "viewer"), UnknownPerson, "there is no person 'ben'"),
        (("people", "link", "ben"), UnknownPerson, "there is no person 'ben'"),
        (("people", "remove", "anna"), Conflict, "the last admin of every app is anna"),
        ((*CI, "--app", "x"), UnknownApp, "there is no app 'x'"),
        ((*CI, "--expires", "2020-01-01"), InvalidField, "--expires: has passed already"),
        ((*CI, "--expires", "soon"), InvalidField, "--expires: must be a date such as 2026-12-31"),
    ],
)
def test_what_can_not_be_done_is_refused_and_changes_nothing(
    run: Run, line: tuple[str, ...], error: type[Exception], told: str
) -> None:
    run(*ANNA)
    refused = run(*line)
    assert isinstance(refused.exception, error)
    assert told in str(refused.exception)
    assert refused.stdout == ""
    assert len(json.loads(run("people", "list", "--json").stdout)) == 1
    assert json.loads(run("access-tokens", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    "line",
    [
        ("people", "add", "ben"),
        ("people", "add", "ben", "--role", "root"),
        ("people", "role", "anna", "root"),
        ("people", "role", "anna", "viewer", "--app", "default", "--all-apps"),
        ("access-tokens", "revoke", "one"),
    ],
)
def test_wrong_usage_is_said(run: Run, line: tuple[str, ...]) -> None:
    assert run(*line).exit_code == 2


def test_the_app_of_other_commands_is_not_the_one_of_a_role(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("apps", "add", "staging")
    monkeypatch.setenv("ABTEST_APP", "staging")
    assert json.loads(run(*ANNA, "--json").stdout)["app"] is None
    monkeypatch.setenv("ABTEST_ROLE_APP", "staging")
    assert json.loads(run(*CI, "--json").stdout)["app"] == "staging"


def test_what_is_typed_wrongly_ends_with_2_and_what_can_not_be_with_1(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    assert run_process(database, *ANNA).returncode == 0
    for name in ("a\udcff", "\u202eanna", "x" * 65):
        refused = run_process(database, "people", "add", name, "--role", "viewer")
        assert (refused.returncode, refused.stderr[:13]) == (2, "abtest: name:")
    for line in (("people", "remove", "anna"), ("people", "link", "ben"), ("access-tokens", "revoke", "9" * 30)):
        refused = run_process(database, *line)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
