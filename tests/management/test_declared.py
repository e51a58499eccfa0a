from decimal import Decimal
from pathlib import Path

import pytest

from abtest.domain.values import Type
from abtest.errors import InvalidExperiment, UnknownExperiment
from abtest.management.declared import parse_toml
from abtest.management.experiments import ExperimentService
from tests.scenes import experiment, opened


def test_a_file_without_an_experiment_is_refused() -> None:
    with pytest.raises(InvalidExperiment, match="the file has none"):
        parse_toml("experiments = []")


TOML = """
[[experiments]]
key = "color"
description = "which?"
metrics = ["conversion:purchase"]
variants = [{ value = "red", weight = 33.3333 }, { value = "blue", weight = "66.6667" }, { value = "x", weight = 0 }]
[[experiments]]
key = "price"
draft = true
type = "number"
audience = ["platform=ios,android", "app_version >= 3.10"]
coverage = "12.5%"
variants = [{ value = "1", weight = 1 }, { value = "2", weight = 1 }]
"""


def test_a_toml_file_gives_experiments_with_exact_weights() -> None:
    color, price = parse_toml(TOML).experiments
    assert [variant.weight for variant in color.variants] == [Decimal("33.3333"), Decimal("66.6667"), Decimal(0)]
    assert (color.description, color.metrics, color.draft) == ("which?", ("conversion:purchase",), False)
    assert (price.key, price.draft) == ("price", True)
    assert (color.audience, price.audience) == ((), ("platform=ios,android", "app_version >= 3.10"))
    assert (color.coverage, price.coverage) == (Decimal(1), Decimal("0.125"))
    assert (color.type, price.type) == (Type.STRING, Type.NUMBER)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("experiments = 5", "experiments: must be a list, not a whole number"),
        ("[[experiments]]\nkey = 'a'\nvariants = []\ncolour = 1", "colour"),
        ("[[experiments]]\nvariants = []", "key"),
        ("[[experiments", "end of an array declaration"),
        (TOML.replace('"price"', '"color"'), "key: 'color' is given to 2 experiments"),
        (TOML.replace("33.3333", "nan"), "weight of variant 1"),
        (TOML.replace("33.3333", "inf"), "weight of variant 1"),
        (TOML.replace("33.3333", "-1"), "weight of variant 1"),
        (TOML.replace("33.3333", "0.33333"), "must have at most 4 decimals"),
        (TOML.replace("33.3333", "true"), "color: weight of variant 1: must be a number, not true or false"),
        (TOML.replace('"1", weight = 1', '"1"'), "price: weight of variant 1: must be given"),
        (
            TOML.replace('"1", weight = 1', '"1", weight = "a"'),
            "weight of variant 1: must be a decimal",
        ),
        (TOML.replace('"price"', '"Price"'), "experiment 2: key: must be 1 to 64 of a-z"),
        (TOML.replace('key = "price"', ""), "experiment 2: key: must be given"),
        (TOML.replace("conversion:purchase", "conversion:"), "color: metric 1: the event must be 1 to 64 of a-z"),
        (TOML.replace('["conversion:purchase"]', "[1]"), "color: metric 1: must be a text, not a whole number"),
        (TOML + "colour = 1", "price: colour: there is no such field"),
        (TOML.replace('"number"', '"int"'), "price: type: must be string, number, boolean or json"),
        (TOML.replace('"2"', '"3,5"'), "price: variant 2: 3,5 is no number: write 3.5"),
        (TOML + "planned = 1", "price: planned: must be from 2 devices, one for each variant, to"),
        (TOML.replace('"1", weight = 1', '"1", weight = 0'), "price: baseline: '1' has weight 0"),
        (TOML.replace('"app_version >= 3.10"', "3"), "price: audience 2: must be a text, not a whole number"),
        (TOML.replace('"12.5%"', "20"), "price: coverage: must be a text, not a whole number"),
        (TOML.replace('"12.5%"', '"0%"'), "price: coverage: must be above 0% and at most 100%"),
        (TOML.replace('["platform=ios,android",', '["platform",'), "price: audience: 'platform' must be ATTRIBUTE"),
        ("[metrics]\nprice = [1]", "metrics: must be a text, not a whole number"),
    ],
)
def test_a_bad_file_says_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(InvalidExperiment, match=words):
        parse_toml(text)


async def test_a_file_sets_the_metrics_of_existing_experiments_or_changes_nothing(tmp_path: Path) -> None:
    new = '[[experiments]]\nkey = "new"\nvariants = [{ value = "x", weight = 1 }, { value = "y", weight = 1 }]\n'
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store)
        await service.add([experiment("color", "1", "1")])
        wrong = parse_toml(new + '[metrics]\ncolor = ["conversion:purchase"]\nnothing = []\n')
        with pytest.raises(UnknownExperiment, match="nothing"):
            await service.add(wrong.experiments, wrong.metrics)
        assert [(each.key, each.metrics) for each in await service.all()] == [("color", ())]
        right = parse_toml(new + '[metrics]\ncolor = ["conversion:purchase"]\n')
        await service.add(right.experiments, right.metrics)
        assert [(each.key, [*map(str, each.metrics)]) for each in await service.all()] == [
            ("color", ["conversion:purchase"]),
            ("new", []),
        ]
    with pytest.raises(InvalidExperiment, match="metrics of color: metric 1"):
        parse_toml('[metrics]\ncolor = ["purchase"]\n')
