"""The specification is valid, and says what the routes are: no more, no less."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator
from tornado.web import RequestHandler

from abtest import errors
from abtest.bootstrap import wired
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.api import handlers as api
from abtest.web.app import routes
from abtest.web.base_path import IN_APP
from abtest.web.pages.handlers import Static
from abtest.web.problems import BY_STATUS, STATUS

METHODS = {"get", "head", "post", "put", "patch", "delete", "options"}
NO_PATH_OF_PROGRAMS = {
    "conflict",
    *("unknown_link", "wrong_password", "too_many_attempts", "unknown_sign_in", "provider_failed"),
}
FOR_PEOPLE = ("abtest.web.pages.team", "abtest.web.pages.changing")
"""Pages of forms, which are no interface for programs: those have /api/v1/admin."""
PARAMETER = re.compile(r"\{[^}]+\}")


@pytest.fixture(scope="module")
def specification() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(api.specification())
    return document


def served() -> set[tuple[str, str]]:
    """Path pattern and method of every route. Static files are no interface: pages alone know their names."""
    services = wired(SQLiteStore(Path("abtest.db")), Settings())
    return {
        (pattern.removeprefix(IN_APP).removesuffix("/?"), method.lower())
        for pattern, handler, _, _ in routes(services)
        if handler is not Static and not handler.__module__.startswith(FOR_PEOPLE)
        for method in RequestHandler.SUPPORTED_METHODS
        if getattr(handler, method.lower()) is not getattr(RequestHandler, method.lower())
    }


def test_the_specification_is_valid(specification: dict[str, Any]) -> None:
    assert specification["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(specification).iter_errors()) == []


def test_the_specification_and_the_routes_agree(specification: dict[str, Any]) -> None:
    described = {
        (PARAMETER.sub("([^/]+)", path), method)
        for path, operations in specification["paths"].items()
        for method in operations.keys() & METHODS
    }
    assert described == served()


ANSWERS = (
    *("Accepted", "Stats", "ExperimentFigures", "VariantFigures", "Results", "Verdict", "MetricResults"),
    *("VariantResult", "Comparison", "Lift", "Health", "Problem", "System", "Warning", "Process"),
)


@pytest.mark.parametrize("name", ANSWERS)
def test_every_field_of_an_answer_is_always_there(specification: dict[str, Any], name: str) -> None:
    schema = specification["components"]["schemas"][name]
    assert set(schema["required"]) == set(schema["properties"])


def test_every_path_that_answers_get_answers_head() -> None:
    assert {path for path, method in served() if method == "get"} == {
        path for path, method in served() if method == "head"
    }


def test_every_operation_is_explained(specification: dict[str, Any]) -> None:
    for path, operations in specification["paths"].items():
        for method in operations.keys() & METHODS:
            assert operations[method]["summary"], f"{method} {path}"
            assert operations[method]["tags"], f"{method} {path}"


def test_every_code_of_a_problem_is_listed(specification: dict[str, Any]) -> None:
    listed = set(specification["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
    known = {kind.code for kind in STATUS} | {code for code, _ in BY_STATUS.values()}
    told = set(re.findall(r"`([a-z_]+)`", errors.Unavailable.__doc__ or "")) - {"code", "retry_after"}
    assert known | told <= listed | NO_PATH_OF_PROGRAMS
    assert listed >= told
    table = (Path(__file__).parents[3] / "docs/api.md").read_text("utf-8").partition("\n## Errors\n")[2]
    assert listed | (NO_PATH_OF_PROGRAMS - {errors.Conflict.code}) <= set(re.findall(r"`([a-z_]+)`", table))


def test_the_version_is_the_programs(specification: dict[str, Any]) -> None:
    setup = (Path(__file__).parents[3] / "setup.py").read_text(encoding="utf-8")
    assert f'version="{specification["info"]["version"]}"' in setup
