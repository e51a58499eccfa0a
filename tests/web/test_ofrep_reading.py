"""Both readers of an OFREP request's context say the same."""

from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis.strategies import SearchStrategy, integers, lists, none, recursive, sampled_from, tuples

from abtest.web import ofrep

CLEAN = ["", "context", "targetingKey", "platform", "country", "a:b", "é", "\x7f", "\\u0061", "\\n"]
WORDS = [*CLEAN, "\\ud83d\\ude00", "\\ud800", '\\"', "\x01", "\ud800", "\udcff"]
SPACES = sampled_from(["", " ", "\r\n\t"])
ODD_SPACES = SPACES | sampled_from(["\x0b", "\ufeff", "\xa0"])
PLACES, LENGTHS = integers(0, 100), integers(0, 2)


def objects(
    names: SearchStrategy[str], values: SearchStrategy[str], spaces: SearchStrategy[str]
) -> SearchStrategy[str]:
    """Objects whose names may repeat, as they may be written."""
    member = tuples(spaces, names, spaces, values, spaces).map("{0[0]}{0[1]}{0[2]}:{0[3]}{0[4]}".format)
    return lists(member, max_size=5).map(lambda members: f"{{{','.join(members)}}}")


def texts(words: list[str]) -> SearchStrategy[str]:
    return sampled_from(words).map('"{}"'.format)


CONTEXTS = objects(texts(CLEAN), texts(CLEAN) | sampled_from(["true", "null"]), SPACES)
VALUES = recursive(
    texts(WORDS) | sampled_from(["true", "null", "0", "-1.50", "1e999", "01", "NaN", "9" * 5_000]),
    lambda values: (
        lists(values, max_size=2).map(lambda each: f"[{','.join(each)}]") | objects(texts(WORDS), values, ODD_SPACES)
    ),
    max_leaves=4,
)
BODIES = (
    CONTEXTS.map('{{"context":{}}}'.format)
    | objects(texts(["context"]), CONTEXTS, SPACES)
    | objects(texts(CLEAN), CONTEXTS | VALUES, SPACES)
    | VALUES.map('{{"context":{{"targetingKey":"a","platform":{}}}}}'.format)
)


@given(BODIES, none() | tuples(PLACES, LENGTHS, sampled_from([b"", b'"', b"\\", b"\xff", b":", b"}", b"\x00"])))
@example('{"context":{"platform":"ios","platform":"ios"}}', None)
@example('{"context":{"a":"b"},"context":{"platform":"ios"}}', None)
@example('{"context":{"platform":"ios"},"later":null}', None)
@example('{"context":{"platform":"ios","\\u0070latform":"a"}}', None)
def test_what_the_quick_reader_reads_the_other_reads_too(text: str, damage: tuple[int, int, bytes] | None) -> None:
    body = text.encode("utf-8", "surrogatepass")
    if damage:
        place, length, instead = damage
        body = body[:place] + instead + body[place + length :]
    quick = ofrep._simple(body)
    if quick is not None:
        assert members(quick) == members(ofrep._any_context(body))


def members(context: dict[str, Any]) -> list[tuple[str, type, Any]]:
    return [(name, type(value), value) for name, value in context.items()]


def test_the_quick_reader_reads_what_apps_send() -> None:
    for context in ('{"targetingKey":"a","platform":"ios"}', '{ "beta" : true,\n"é": null, "c": "" }'):
        assert ofrep._simple(f'{{"context": {context}}}\n'.encode()) == msgspec.json.decode(context)
