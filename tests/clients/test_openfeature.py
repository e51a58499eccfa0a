"""OpenFeature's own SDK for the web, on top of the TypeScript client."""

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.clients.conftest import Product
from tests.clients.driving import SECONDS
from tests.clients.network import Network


@pytest.fixture
def language(drivers: Any) -> Any:
    return drivers("typescript")


def evaluated(command: list[str], net: Network, timeout: float) -> tuple[str, list[Any]]:
    """The device's token, and value and reason of each flag."""
    program = [command[0], str(Path(command[-1]).with_name("flags.js"))]
    ended = subprocess.run(
        [*program, net.url, str(timeout)], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    answer = msgspec.json.decode(ended.stdout)
    assert answer["sent"]
    return answer["token"], answer["found"]


def test_flags_have_their_types_and_their_exposures_are_reported(
    language: list[str], net: Network, product: Product
) -> None:
    token, found = evaluated(language, net, timeout=20)
    assert found == [
        ["sure-0", "SPLIT"],
        [9.5, "SPLIT"],
        [True, "SPLIT"],
        [{"a": [1, 2]}, "SPLIT"],
        [7, "ERROR"],
        ["mine", "DEFAULT"],
    ]
    assert [event[2:4] for event in product.events(token)] == [
        ("sure", "sure-0"),
        ("price", "9.5"),
        ("free", "true"),
        ("page", '{"a":[1,2]}'),
        ("words", "7"),
    ]


def test_defaults_after_a_time_out_are_reported_as_such(language: list[str], net: Network, product: Product) -> None:
    net.faults = {"GET": "busy"}
    net.heals_after = 1
    token, found = evaluated(language, net, timeout=0.05)
    assert [value for value, _ in found] == ["mine", 1, False, {}, 7, "mine"]
    shown = {experiment: value for _, _, experiment, value, _ in product.events(token)}
    assert shown == {"sure": "mine", "price": "1", "free": "false", "page": "{}", "words": "7", "nothing": "mine"}
