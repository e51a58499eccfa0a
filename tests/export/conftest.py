"""What is in this room is tested in both stores, unless a test says that it needs one of them."""

from typing import Any

import pytest


@pytest.fixture
def store(each_store: Any) -> Any:
    """An empty database."""
    return each_store
