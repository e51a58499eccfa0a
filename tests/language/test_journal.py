"""Entries of the journal, as people read them."""

import pytest

from abtest.domain import Action, By, Entry, Hand
from abtest.language.journal import DONE, by_said, entry_said


def entry(action: str, before: str = "{}", after: str = "{}") -> Entry:
    return Entry(1, 0, By(Hand.WORKER), "default", action, "price", before, after, "")


@pytest.mark.parametrize(
    ("action", "before", "after", "said"),
    [
        ("experiment.change", '{"winner":null}', '{"winner":"20"}', "changed price: winner 20 (was none)"),
        ("experiment.change", '{"stop_at":5}', '{"stop_at":9}', "changed price: stop at 9 (was 5)"),
        ("experiment.change", "{}", '{"winner":"Buy now"}', "changed price: winner “Buy now” (was none)"),
        ("experiment.add", "{}", '{"values":["Buy now","Buy"]}', "added price: values “Buy now”, Buy"),
        ("experiment.add", "{}", '{"weights":{"a b":"5"}}', "added price: weights “a b” with weight 5"),
        ("person.change", '{"app":null}', '{"app":"x"}', "changed price: app x (was every app)"),
        ("experiment.add", "{}", '{"weights":{"10":"5"}}', "added price: weights 10 with weight 5"),
        ("experiment.add", "{}", '{"note":"a, b","planned":16286}', "added price: note “a, b”, planned 16,286"),
        ("group.add", "{}", "{}", "added the group price"),
        ("holdout.add", "{}", '{"metrics":["a:b","c:d"]}', "added the holdout price: metrics a:b, c:d"),
        ("test_device.remove", '{"values":{"x":"1","y":"2"}}', "", "removed a test device: values 1 for x, 2 for y"),
        ("test_device.change", '{"a":{}}', '{"a":{"x":"1"}}', "changed a test device: a 1 for x (was none)"),
        ("device.forget", "{}", "{}", "forgot a device"),
        ("{moon}.land", "{}", "{}", "{moon}.land price"),
        ("experiment.change", "{", "[1]", "changed price"),
    ],
)  # fmt: skip
def test_an_entry_is_a_sentence(action: str, before: str, after: str, said: str) -> None:
    assert entry_said(entry(action, before, after)) == said


def test_every_action_has_words() -> None:
    assert DONE.keys() == set(Action)


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (By(Hand.PERSON, "anna", "192.0.2.7"), "anna, 192.0.2.7"),
        (By(Hand.ACCESS_TOKEN, "ci", "192.0.2.7"), "ci, access token, 192.0.2.7"),
        (By(Hand.COMMAND_LINE, "anna"), "anna, command line"),
        (By(Hand.WORKER), "worker"),
        (By(Hand.PERSON, "a\x1b[2J\nb\u202e"), "a\\x1b[2J\\nb\\u202e"),
    ],
)
def test_who_made_a_change_is_said_with_the_address(by: By, said: str) -> None:
    assert by_said(by) == said


def test_an_entry_can_not_write_into_a_terminal() -> None:
    hostile = entry("experiment.change\x07", "{}", '{"description":"a\\u001b[2J\\n2026 forged \\u202e\\udcff"}')
    assert entry_said(hostile) == "experiment.change\\x07 price: description “a\\x1b[2J\\n2026 forged \\u202e\\udcff”"
