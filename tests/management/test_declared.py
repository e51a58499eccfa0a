import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtest.domain.experiments import NewExperiment, Status, Variant
from abtest.domain.values import TURNED, Type
from abtest.errors import InvalidExperiment, UnknownExperiment
from abtest.management.declared import Declared, parse_declared, parse_toml, write_toml
from abtest.management.experiments import ExperimentService
from tests.scenes import ANNA, experiment, opened


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
        (TOML.replace('"price"', '"Price"'), "experiment 2: key: must be 1 to 64 characters from a-z"),
        (TOML.replace('key = "price"', ""), "experiment 2: key: must be given"),
        (
            TOML.replace("conversion:purchase", "conversion:"),
            "color: metric 1: the event must be 1 to 64 characters from a-z",
        ),
        (TOML.replace('["conversion:purchase"]', "[1]"), "color: metric 1: must be a text, not a whole number"),
        (TOML + "colour = 1", "price: colour: there is no such field"),
        (TOML.replace('"number"', '"int"'), "price: type: must be string, number, boolean or json"),
        (TOML.replace('"2"', '"3,5"'), "price: variant 2: the value can't be used as a number: write 3.5"),
        (TOML + "planned = 1", "price: planned: must be from 2 devices, one for each variant, to"),
        (TOML.replace('"app_version >= 3.10"', "3"), "price: audience 2: must be a text, not a whole number"),
        (TOML.replace('"12.5%"', "20"), "price: coverage: must be a text, not a whole number"),
        (TOML.replace('"12.5%"', '"0%"'), "price: coverage: must be above 0% and at most 100%"),
        (TOML.replace('["platform=ios,android",', '["platform",'), "price: audience: 'platform' must be ATTRIBUTE"),
        (TOML + 'group = "A"\ngroup_share = "1%"', "price: group: must be 1 to 64 characters from a-z"),
        ("[metrics]\nprice = [1]", "metrics: must be a text, not a whole number"),
        (f"a = {'[' * 5_000}", "nested too deeply"),
    ],
)
def test_a_bad_file_says_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(InvalidExperiment, match=words):
        parse_toml(text)


async def test_a_file_sets_the_metrics_of_existing_experiments_or_changes_nothing(tmp_path: Path) -> None:
    new = '[[experiments]]\nkey = "new"\nvariants = [{ value = "x", weight = 1 }, { value = "y", weight = 1 }]\n'
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
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


def texts(longest: int) -> st.SearchStrategy[str]:
    """What a value may be; the characters that TOML treats in its own way are many."""
    special = st.sampled_from("\"'\\#=[]{},\u2028\u00ad\N{NO-BREAK SPACE}👩‍🚀")
    anything = st.characters(exclude_categories=("Cc", "Cs"))
    return st.text(special | anything, min_size=1, max_size=longest).filter(lambda text: not TURNED.search(text))


VALUES = {
    Type.STRING: texts(20),
    Type.NUMBER: st.integers(-(10**9), 10**9).map(str),
    Type.BOOLEAN: st.sampled_from(["true", "false"]),
    Type.JSON: st.dictionaries(texts(4), texts(4), max_size=2).map(lambda found: json.dumps(found, sort_keys=True)),
}
WEIGHTS = st.decimals("0.0001", 9999999, allow_nan=False, places=4) | st.integers(1, 9999999).map(Decimal)
CONDITIONS = ("app_version>=3.10", 'platform="a",\\n', "country!=é")
METRICS = ("conversion:purchase", "amount:purchase/14d", "conversion:refund less")


@st.composite
def declarations(draw: st.DrawFn) -> Declared:
    type = draw(st.sampled_from(Type))
    values = draw(st.lists(VALUES[type], min_size=2, max_size=5, unique=True))
    status = draw(st.none() | st.sampled_from(Status))
    new = NewExperiment(
        key=draw(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True)),
        variants=tuple(Variant(value, draw(WEIGHTS)) for value in values),
        description=draw(texts(50) | st.just("")),
        metrics=tuple(draw(st.lists(st.sampled_from(METRICS), unique=True))),
        draft=status is Status.DRAFT,
        baseline=draw(st.none() | st.sampled_from(values)),
        planned=draw(st.none() | st.integers(len(values), 10**12)),
        type=type,
        audience=tuple(draw(st.lists(st.sampled_from(CONDITIONS), unique=True))),
        coverage=Decimal(draw(st.integers(1, 10**6))) / 10**6,
        start_at=draw(st.none() | st.integers(0, 10**14)) if status in {None, Status.DRAFT} else None,
        end_at=draw(st.none() | st.integers(10**14 + 1, 2 * 10**14)),
        stop_at=draw(st.none() | st.integers(1, 10**12)),
    ).checked()
    ended = status in {Status.FINISHED, Status.ARCHIVED}
    return Declared(new, status, draw(st.none() | st.sampled_from(values)) if ended else None)


@given(st.lists(declarations(), max_size=3, unique_by=lambda each: each.new.key))
def test_what_is_written_is_read_again(declared: list[Declared]) -> None:
    assert parse_declared(write_toml(declared)) == tuple(declared)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('status = "stopped"', "price: status: must be draft, running, paused, finished or archived"),
        ('status = "paused"', "price: status: can't be paused with draft = true"),
        (
            'start_at = 2026-12-03T09:00:00Z\n[[experiments]]\nkey = "late"\nstatus = "running"\n'
            'start_at = 2026-12-03T09:00:00Z\nvariants = [{ value = "1", weight = 1 }, { value = "2", weight = 1 }]',
            "late: start_at: an experiment that is running does not start by itself; leave out the status",
        ),
        ('winner = "1"', 'price: winner: needs status = "finished" or "archived"'),
        ('because = "x"', 'price: because: needs status = "finished" or "archived"'),
    ],
)
def test_a_status_that_can_not_be_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidExperiment, match=words):
        parse_declared(TOML + text)


def test_a_winner_is_one_of_the_values_in_the_file() -> None:
    with pytest.raises(InvalidExperiment, match="price: winner: '3' is not a value of this experiment"):
        parse_declared(TOML.replace("draft = true", 'status = "finished"') + 'winner = "3"')


def test_only_what_a_command_can_add_is_loaded() -> None:
    assert [each.draft for each in parse_toml(TOML.replace("draft = true", 'status = "draft"')).experiments] == [
        False, True,
    ]  # fmt: skip
    with pytest.raises(InvalidExperiment, match="price: status: only drafts and running experiments can be loaded"):
        parse_toml(TOML.replace("draft = true", 'status = "finished"'))


def test_a_table_of_metrics_declares_nothing() -> None:
    with pytest.raises(InvalidExperiment, match="metrics: write the metrics of each experiment below its"):
        parse_declared("[metrics]\nprice = []")
    assert parse_declared("") == ()
