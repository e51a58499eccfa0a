"""Valid and invalid requests made from openapi.yaml: no answer is 5xx, every answer is as specified."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
)

from abtest.web.api.admin.base import ADMIN_PATH
from abtest.web.api.handlers import specification
from tests.faults.parts import Part
from tests.faults.servers import create, free_port, run, serve, verify

MOST_SIMULATED = 5_000
PLANNING = {"/plan", "/simulate", "/simulate/run"}
REVOKE, OWN = "/api/v1/admin/access-tokens/{id}", 1
"""The request that would revoke the access token of all these requests."""
FREE = {"If-None-Match"}
"""Parameters that may have any value."""


def described(folder: Path, cases: int, defect: str = "", chance: int = 1) -> dict[str, int]:
    """Send at least this many requests, to all operations; every answer is checked against the specification."""
    database, port, answered = folder / f"{defect or 'sound'}.db", free_port(), dict[str, int]()
    create(database)
    assert run(database, "worker", "--once").returncode == 0
    found = list(schemathesis.openapi.from_file(specification()).get_all_operations())
    operations = [each.ok() for each in found if isinstance(each, Ok)]
    assert len(operations) == len(found)
    planned = [(operation, mode) for operation in operations for mode in _modes(operation)]
    added = json.loads(run(database, "access-tokens", "add", "schema", "--role", "admin", "--json").stdout)
    with serve(database, port, defect=defect) as server, requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {added['token']}"
        for operation, mode in planned:
            number = -(-cases // sum(_varies(each) for each, _ in planned))
            _ask(operation, mode, number, f"http://127.0.0.1:{port}", session, answered, chance)
        assert server.code is None
        assert answered["answered_201"]
        assert "answered_401" not in answered
        assert "Traceback" not in server.messages(), server.messages()
    assert verify(database) == ""
    return {"operations": len(operations), "cases": sum(answered.values())} | dict(sorted(answered.items()))


def control(folder: Path, cases: int) -> dict[str, int]:
    """An answer that the specification does not have must be noticed."""
    with pytest.raises((FailureGroup, ExceptionGroup)):
        described(folder, cases, defect="answers-otherwise")
    return {"control_noticed": 1}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return described(folder, part.of(5_000), chance=part.seed) | control(folder, 100)


def test_every_answer_is_as_specified(tmp_path: Path) -> None:
    described(tmp_path, 200)


def test_an_answer_that_is_not_as_specified_is_noticed(tmp_path: Path) -> None:
    control(tmp_path, 100)


def _varies(operation: Any) -> bool:
    """Whether the operation can be called in more than one way."""
    return bool(operation.body) or any(True for _ in operation.iter_parameters())


def _modes(operation: Any) -> list[GenerationMode]:
    """Valid requests, and invalid ones if something can be invalid."""
    names = {parameter.name for parameter in operation.iter_parameters()}
    can_be_wrong = operation.body or names - FREE
    return [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if can_be_wrong else [])]


def _ask(
    operation: Any,
    mode: GenerationMode,
    cases: int,
    url: str,
    session: requests.Session,
    answered: dict[str, int],
    chance: int,
) -> None:
    @seed(chance)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: "Case[Any]") -> None:
        devices = case.query.get("devices") if isinstance(case.query, dict) else None
        assume(case.path != REVOKE or case.path_parameters != {"id": OWN})
        if isinstance(devices, int) and devices > MOST_SIMULATED:
            case.query["devices"] = devices % MOST_SIMULATED + 1
        response = case.call(base_url=url, session=session)
        name = f"answered_{response.status_code}"
        answered[name] = answered.get(name, 0) + 1
        # Several fields together, or what exists, may make a request impossible. It gets 422, as specified.
        has_rules = operation.path in PLANNING or operation.path.startswith(ADMIN_PATH)
        excluded: list[Any] = [positive_data_acceptance] if has_rules else []
        # If somebody changed it meanwhile, that is refused before the change itself is checked.
        excluded += [negative_data_rejection] if response.status_code == HTTPStatus.PRECONDITION_FAILED else []
        stream = response.headers.get("content-type", [""])[0].startswith("text/event-stream")
        # OpenAPI 3.1 describes a stream as one text; that check would apply the description to each event.
        excluded += [response_schema_conformance] if stream else []
        case.validate_response(response, excluded_checks=excluded)

    ask()
