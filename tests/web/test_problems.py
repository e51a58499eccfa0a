"""Every error has a status, unless only commands can meet it."""

import pytest

from abtest import errors
from abtest.errors import AbtestError
from abtest.web.problems import STATUS

OF_COMMANDS = {errors.Unreachable, errors.CannotStart}


def kinds(kind: type[AbtestError]) -> list[type[AbtestError]]:
    return [each for below in kind.__subclasses__() for each in (below, *kinds(below))]


@pytest.mark.parametrize("kind", kinds(AbtestError), ids=lambda kind: kind.__name__)
def test_an_error_has_a_status(kind: type[AbtestError]) -> None:
    assert any(each in STATUS for each in kind.__mro__) is (kind not in OF_COMMANDS)
