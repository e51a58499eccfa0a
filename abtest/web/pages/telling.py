"""What a page says about a form that was refused."""

from collections.abc import Mapping

from abtest.errors import AbtestError
from abtest.language import forms
from abtest.web.pages.rendering import first_upper
from abtest.web.problems import Problem


def sentence(detail: str) -> str:
    """The detail of a problem as people read it."""
    return f"{first_upper(detail)}."


def told(problem: Problem, error: BaseException, labels: Mapping[str, str] = forms.LABELS) -> str:
    """Why a form was refused, with the label of the field that is wrong.

    `labels`: those of a form that has its own.
    """
    if isinstance(error, AbtestError) and error.field is not None:
        return sentence(f"{labels.get(error.field, error.said)}: {error.reason}")
    return sentence(problem.detail)
