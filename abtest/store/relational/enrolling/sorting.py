"""Tokens by their app, and what is told about them."""

from collections.abc import Mapping, Sequence

from abtest.domain import app_of
from abtest.store.enrolment import Enrolment
from abtest.store.relational.enrolling.catalogue import Catalogue


def by_app(tokens: Sequence[str]) -> dict[int, list[str]]:
    """These tokens by the number of their app, in their order."""
    found: dict[int, list[str]] = {}
    for token in tokens:
        found.setdefault(app_of(token), []).append(token)
    return found


def enrolment_of(
    catalogue: Catalogue, variants: Mapping[str, tuple[int, ...]], new: frozenset[str] = frozenset()
) -> Enrolment:
    """The answers of devices that have these variants."""
    return Enrolment(catalogue.config_version, catalogue.apps, catalogue.keys, catalogue.values, variants, new)
