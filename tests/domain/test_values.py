"""What a value may be, by the type of its experiment, and as what it is delivered."""

from decimal import Decimal

import pytest

from abtest.domain.experiments import NewExperiment, Variant
from abtest.domain.values import Type, check_values, typed
from abtest.errors import InvalidExperiment

TYPED = [
    (Type.STRING, "10", b'"10"'),
    (Type.STRING, 'say "hi"', rb'"say \"hi\""'),
    (Type.NUMBER, "10", b"10"),
    (Type.NUMBER, "9.5", b"9.5"),
    (Type.NUMBER, "10.0", b"10.0"),
    (Type.NUMBER, "-0.50", b"-0.50"),
    (Type.BOOLEAN, "true", b"true"),
    (Type.BOOLEAN, "false", b"false"),
    (Type.JSON, '{ "b" : [1.50, "a  b"], "a" : null }', b'{"b":[1.50,"a  b"],"a":null}'),
    (Type.JSON, '"a"', b'"a"'),
]


@pytest.mark.parametrize(("type", "text", "json"), TYPED)
def test_a_value_is_delivered_as_it_was_given(type: Type, text: str, json: bytes) -> None:
    check_values(type, [text])
    assert typed(type, text) == json


@pytest.mark.parametrize(
    ("type", "text", "words"),
    [
        (Type.NUMBER, "3,5", "variant 2: 3,5 is no number: write 3.5"),
        (Type.NUMBER, ".5", "write 0.5"),
        (Type.NUMBER, "5.", "write 5"),
        (Type.NUMBER, "+5", "write 5"),
        (Type.NUMBER, "05", "write 5"),
        (Type.NUMBER, "1e3", "write 1000"),
        (Type.NUMBER, " 5", "write 5"),
        (Type.NUMBER, "٣", "write 3"),
        (Type.NUMBER, "1,000", "write digits, and a point before decimals, such as 9.5"),
        (Type.NUMBER, "1e999999999", "write digits"),
        (Type.NUMBER, "NaN", "write digits"),
        (Type.NUMBER, "ten", "ten is no number: write digits"),
        (Type.BOOLEAN, "True", "True is no boolean: write true"),
        (Type.BOOLEAN, "FALSE", "write false"),
        (Type.BOOLEAN, "yes", "yes is no boolean: write true or false"),
        (Type.JSON, "buy", "buy is no JSON: Expecting value at position 0"),
        (Type.JSON, '{"a":1,"a":2}', "a key is given twice"),
        (Type.JSON, "[NaN]", "NaN and Infinity are not JSON"),
        (Type.JSON, "[1e400]", "out of range"),
        (Type.JSON, r'"\ud800"', "is no JSON"),
        (Type.JSON, "null", "apps take null for a missing value"),
    ],
)
def test_what_is_not_of_the_type_is_refused_with_what_to_write(type: Type, text: str, words: str) -> None:
    good = {Type.NUMBER: "1", Type.BOOLEAN: "true", Type.JSON: "{}"}[type]
    with pytest.raises(InvalidExperiment) as refused:
        NewExperiment("color", (Variant(good, Decimal(1)), Variant(text, Decimal(1))), type=type).checked()
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("type", "one", "other"),
    [(Type.NUMBER, "10", "10.0"), (Type.NUMBER, "0", "-0"), (Type.JSON, '{"a":1}', '{"a": 1}')],
)
def test_two_values_are_not_the_same_one_in_other_words(type: Type, one: str, other: str) -> None:
    with pytest.raises(InvalidExperiment, match=r"variant 2: .* are the same"):
        check_values(type, [one, other])
    check_values(Type.STRING, [one, other])
