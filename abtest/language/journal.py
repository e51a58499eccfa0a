"""Entries of the journal, in words. Whatever is in them can't change the terminal."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from abtest.domain import Action, By, Entry, Hand, text_fault
from abtest.language.numbers import number
from abtest.language.quoting import quoted, value_said

DONE: Mapping[str, str] = {
    Action.ADD_EXPERIMENT: "added {}",
    Action.CHANGE_EXPERIMENT: "changed {}",
    Action.ADD_GROUP: "added the group {}",
    Action.CHANGE_GROUP: "changed the group {}",
    Action.ADD_HOLDOUT: "added the holdout {}",
    Action.CHANGE_HOLDOUT: "changed the holdout {}",
    Action.ADD_TEST_DEVICE: "added a test device",
    Action.CHANGE_TEST_DEVICE: "changed a test device",
    Action.REMOVE_TEST_DEVICE: "removed a test device",
    Action.ADD_APP: "added the app {}",
    Action.ADD_PERSON: "added {}",
    Action.CHANGE_PERSON: "changed {}",
    Action.LINK_PERSON: "made a link that sets the password of {}",
    Action.SET_PASSWORD: "set the password of {}",
    Action.END_SESSIONS: "ended sessions of {}",
    Action.CONNECT_PERSON: "connected {}",
    Action.DISCONNECT_PERSON: "disconnected {}",
    Action.REMOVE_PERSON: "removed {}",
    Action.ADD_ACCESS_TOKEN: "added the access token {}",
    Action.REVOKE_ACCESS_TOKEN: "revoked the access token {}",
    Action.ADD_SHARED_LINK: "shared the results of {} by a link",
    Action.REVOKE_SHARED_LINK: "revoked a link to the results of {}",
    Action.FORGET_DEVICE: "forgot a device",
    Action.EXPORT_TOKENS: "exported tokens of devices",
    Action.RESTORE: "restored a backup",
    Action.ACCEPT_LOSS: "accepted the loss of answers",
}
NONE = "none"
TEXTS = {"description", "because", "note"}
"""The fields in which people write sentences, which are quoted."""
VALUES = {"winner", "baseline"}
"""The fields that are the value of a variant."""


def entry_said(entry: Entry, cut: Callable[[str], str] = str) -> str:
    """changed price: status finished (was running), winner 20 (was none). `cut`: makes long texts in it shorter."""
    known = DONE.get(entry.action)
    done = f"{entry.action} {entry.subject}" if known is None else known.format(entry.subject)
    changes = ", ".join(_changes(entry, cut))
    return _harmless(f"{done}: {changes}" if changes else done)


class Changed(Struct, frozen=True):
    """A field, what it was before and what it is afterwards, in words."""

    field: str
    before: str
    after: str


def changes_said(entry: Entry, cut: Callable[[str], str] = str) -> list[Changed]:
    """What an entry says of each field. `cut`: as in entry_said."""
    before, after = entry.before_facts, entry.after_facts
    return [
        Changed(
            field=_harmless(field.replace("_", " ")),
            before=_harmless(_fact(field, before.get(field), cut)),
            after=_harmless(_fact(field, after.get(field, before.get(field)), cut)),
        )
        for field in {**before, **after}
    ]


def weights_said(weights: Mapping[str, object], cut: Callable[[str], str] = str) -> str:
    """10 with weight 50, 20 with weight 10: which number is the value and which the weight can't be mistaken."""
    return ", ".join(f"{value_said(cut(value))} with weight {weight}" for value, weight in weights.items())


def by_said(by: By) -> str:
    """anna, command line; or anna, 192.0.2.7."""
    kind = None if by.kind == Hand.PERSON else by.kind
    return _harmless(", ".join(filter(None, (by.name, kind, by.address))))


def _changes(entry: Entry, cut: Callable[[str], str]) -> Iterator[str]:
    for each in changes_said(entry, cut):
        before, after = (_quoted(text) if each.field in TEXTS else text for text in (each.before, each.after))
        yield f"{each.field} {after} (was {before})" if entry.action.endswith(".change") else f"{each.field} {after}"


def _quoted(text: str) -> str:
    return text if text == NONE else quoted(text)


def _fact(field: str, fact: Any, cut: Callable[[str], str]) -> str:
    match fact:
        case dict() if field == "weights":
            said = weights_said(fact, cut)
        case dict():
            said = ", ".join(f"{value_said(cut(str(each)))} for {name}" for name, each in fact.items())
        case list() if field == "values":
            said = ", ".join(value_said(cut(str(each))) for each in fact)
        case list():
            said = ", ".join(cut(str(each)) for each in fact)
        case int() if field != "id":
            said = number(fact)
        case str() if field in VALUES:
            said = value_said(cut(fact))
        case _:
            said = cut(str(fact or ""))
    return said or ("every app" if field == "app" else NONE)


def _harmless(text: str) -> str:
    """The text with what could forge lines in a terminal as codes: \\x1b."""
    if not text_fault(text):
        return text
    return "".join(ascii(each)[1:-1] if text_fault(each) else each for each in text)
