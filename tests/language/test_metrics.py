"""Metrics, and what is known of exposure, in words."""

import pytest

from abtest.domain import parse_metrics
from abtest.inference import Exposure
from abtest.language import exposure_told, metric_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("conversion:purchase", "Conversion of purchase"),
        ("amount:order.paid/14d", "Amount of order.paid within 14 days"),
        ("conversion:refund/1d less", "Conversion of refund within 1 day, less is better"),
    ],
)
def test_a_metric_has_a_name(text: str, name: str) -> None:
    (metric,) = parse_metrics([text])
    assert metric_name(metric) == name


@pytest.mark.parametrize(
    ("found", "sentence", "good"),
    [
        (Exposure((600, 600)), "No device reported exposure, so it is unknown", None),
        (Exposure((0, 0)), "Every device reported exposure.", True),
        (Exposure((60, 6), 0, 0.9, 0.99), "red differs from the other variants: 90% of its devices", False),
        (
            Exposure((6, 6), alike=True),
            "12 of 1,200 devices never reported exposure; their share is alike in all",
            True,
        ),
        (Exposure((6, 6)), "12 of 1,200 devices never reported exposure; no difference", None),
    ],
)
def test_exposure_is_told_and_good_news_is_known(found: Exposure, sentence: str, good: bool | None) -> None:
    told = exposure_told(found, 1_200, ("red", "green"))
    assert (told.sentence[: len(sentence)], told.good) == (sentence, good)
