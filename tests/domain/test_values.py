"""What a value may be, by the type of its experiment, and as what it is delivered."""

from decimal import Decimal

import pytest

from abtest.domain.experiments import NewExperiment, Variant
from abtest.domain.values import Type, check_values, same, typed
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
        (Type.NUMBER, "3,5", "variant 2: the value can't be used as a number: write 3.5"),
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
        (Type.NUMBER, "ten", "the value can't be used as a number: write digits"),
        (Type.BOOLEAN, "True", "the value can't be used as a boolean: write true"),
        (Type.BOOLEAN, "FALSE", "write false"),
        (Type.BOOLEAN, "yes", "the value can't be used as a boolean: write true or false"),
        (Type.JSON, "buy", "the value can't be used as JSON: Expecting value at position 0"),
        (Type.JSON, '{"a":1,"a":2}', "a key is given twice"),
        (Type.JSON, "[NaN]", "NaN and Infinity are not JSON"),
        (Type.JSON, "[1e400]", "out of range"),
        (Type.JSON, r'"\ud800"', "can't be used as JSON"),
        (Type.JSON, "null", "apps take null for a missing value"),
    ],
)
def test_what_is_not_of_the_type_is_refused_with_what_to_write(type: Type, text: str, words: str) -> None:
    good = {Type.NUMBER: "1", Type.BOOLEAN: "true", Type.JSON: "{}"}[type]
    with pytest.raises(InvalidExperiment) as refused:
        NewExperiment("color", (Variant(good, Decimal(1)), Variant(text, Decimal(1))), type=type).checked()
    assert words in str(refused.value)


SAME = [
    (Type.NUMBER, "10", "10.0"),
    (Type.NUMBER, "0", "-0"),
    (Type.JSON, '{"a":1}', '{"a": 1}'),
    (Type.JSON, "1", "1.0"),
    (Type.JSON, "[100]", "[1e2]"),
    (Type.JSON, '{"a":1,"b":{"c":2,"d":3}}', '{"b":{"d":3,"c":2},"a":1}'),
    (Type.JSON, '"A"', r'"\u0041"'),
]
DIFFERENT = [
    (Type.BOOLEAN, "true", "false"),
    (Type.NUMBER, "1", "1." + "0" * 40 + "1"),
    (Type.JSON, '{"on":1}', '{"on":true}'),
    (Type.JSON, "[0]", "[false]"),
    (Type.JSON, "1", '"1"'),
    (Type.JSON, "[1,2]", "[2,1]"),
    (Type.JSON, "{}", "[]"),
    (Type.JSON, '{"a":[true,1]}', '{"a":["bool",1]}'),
    (Type.JSON, "[true]", "[[true]]"),
]


@pytest.mark.parametrize(("type", "one", "other"), SAME)
def test_two_values_are_not_the_same_one_in_other_words(type: Type, one: str, other: str) -> None:
    with pytest.raises(InvalidExperiment, match=r"variant 2: the value means the same as that of variant 1"):
        check_values(type, [one, other])
    check_values(Type.STRING, [one, other])
    assert same(type, one, other)
    assert not same(Type.STRING, one, other)


@pytest.mark.parametrize(("type", "one", "other"), DIFFERENT)
def test_values_that_apps_can_tell_apart_are_two(type: Type, one: str, other: str) -> None:
    check_values(type, [one, other])
    assert not same(type, one, other)


@pytest.mark.parametrize(
    "shown", ["", "[1", "[" * 1_000 + "]" * 1_000, "1" * 5_000, "NaN", "\ud800", "1e" + "9" * 20]
)
def test_what_is_not_of_the_type_is_no_value(shown: str) -> None:
    assert not same(Type.JSON, shown, "[1]")
    assert not same(Type.NUMBER, shown, "1")
