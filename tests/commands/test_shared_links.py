"""`abtest shared-links`, as typed."""

import json
import re

import pytest

from abtest.errors import InvalidField, UnknownExperiment, UnknownSharedLink
from tests.commands.test_apps import STAGING
from tests.conftest import Run

PRICE = ("experiments", "add", "price", "--variant", "10=1", "--variant", "20=1")


def test_a_link_is_shown_once_listed_and_revoked(run: Run) -> None:
    run(*PRICE)
    assert run("shared-links", "list").stdout == "no shared links yet; make one with: abtest shared-links add KEY\n"
    added = run("shared-links", "add", "price", "--note", "for the board")
    assert added.stderr.endswith("added shared link 1, to the results of price; it is shown only once:\n")
    link = re.fullmatch(r"http://127\.0\.0\.1:8080/shared/([\w-]{43})\n", added.stdout)
    assert link, added.stdout
    listed = run("shared-links", "list").stdout
    assert re.fullmatch(
        r"ID  EXPERIMENT  MADE +BY +NOTE\n 1  price +20\S+Z  \w+, command line  for the board\n", listed
    )
    assert run("shared-links", "revoke", "1").stdout == "revoked shared link 1\n"
    assert isinstance(run("shared-links", "revoke", "1").exception, UnknownSharedLink)


def test_programs_read_shared_links_as_json(run: Run) -> None:
    run(*PRICE)
    added = json.loads(run("shared-links", "add", "price", "--url", "https://ab.example.com/", "--json").stdout)
    assert re.fullmatch(r"https://ab\.example\.com/shared/[\w-]{43}", added.pop("link"))
    assert json.loads(run("shared-links", "list", "--json").stdout) == [added]
    assert added.pop("made_at") < "2100"
    assert added.pop("made_by")["kind"] == "command line"
    assert added == {"id": 1, "experiment": "price", "note": ""}
    assert json.loads(run("shared-links", "revoke", "1", "--json").stdout) == {"id": 1}


def test_an_app_knows_its_own_links(run: Run) -> None:
    run("apps", "add", "staging")
    run(*PRICE, *STAGING)
    run("shared-links", "add", "price", *STAGING)
    assert json.loads(run("shared-links", "list", "--json").stdout) == []
    assert len(json.loads(run("shared-links", "list", "--json", *STAGING).stdout)) == 1
    assert isinstance(run("shared-links", "revoke", "1").exception, UnknownSharedLink)
    assert run("shared-links", "revoke", "1", *STAGING).exit_code == 0


@pytest.mark.parametrize(
    ("line", "error", "told"),
    [
        (("add", "nothing"), UnknownExperiment, "there is no experiment 'nothing'"),
        (("add", "price", "--note", "x" * 201), InvalidField, "--note: must have at most 200 characters"),
        (("revoke", "9" * 30), UnknownSharedLink, "there is no shared link 9999"),
    ],
)
def test_what_can_not_be_done_is_refused(run: Run, line: tuple[str, ...], error: type[Exception], told: str) -> None:
    run(*PRICE)
    refused = run("shared-links", *line)
    assert isinstance(refused.exception, error)
    assert told in str(refused.exception)
    assert refused.stdout == ""
