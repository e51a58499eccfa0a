"""Tokens by their app, and the answers for them."""

from collections.abc import Iterable, Mapping, Sequence

from abtest.domain import app_of
from abtest.store.enrolment import Enrolment
from abtest.store.relational.enrolling.catalogue import Catalogue


def by_app(tokens: Sequence[str]) -> dict[int, list[str]]:
    """These tokens by the number of their app, in their order."""
    found: dict[int, list[str]] = {}
    for token in tokens:
        found.setdefault(app_of(token), []).append(token)
    return found


def known_of(
    catalogue: Catalogue, tokens: Sequence[str], rows: Iterable[tuple[str, Iterable[int | None]]]
) -> dict[str, tuple[int, ...]]:
    """The variants that are delivered to the test devices and known devices among these tokens.

    `rows`: each known token, with the variants of all its assignments.
    """
    delivered = catalogue.delivered
    found = {token: tuple([each for each in variants if each in delivered]) for token, variants in rows}
    if catalogue.test_devices:
        found |= {token: catalogue.test_devices[token] for token in tokens if token in catalogue.test_devices}
    return found


def enrolment_of(
    catalogue: Catalogue, variants: Mapping[str, tuple[int, ...]], new: frozenset[str] = frozenset()
) -> Enrolment:
    """The answers of devices that have these variants."""
    return Enrolment(catalogue.config_version, catalogue.apps, catalogue.keys, catalogue.values, variants, new)
