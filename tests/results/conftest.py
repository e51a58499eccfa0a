"""The worker, the reports and the prospects are tested in both stores."""

from typing import Any

import pytest


@pytest.fixture
def store(each_store: Any) -> Any:
    """An empty database."""
    return each_store
