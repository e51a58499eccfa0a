"""Groups of experiments of which a device is in at most one, and holdouts of devices that are in none."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from abtest.domain.experiments import Experiment, NewExperiment, Variant, check_description, check_key
from abtest.errors import Conflict, InvalidExperiment

HELD, FREE = "held", "free"
"""The outcomes of a holdout."""
HELD_PLACE = 0
"""The place of HELD among the outcomes."""


def new_holdout(key: str, share: Decimal, description: str = "", metrics: tuple[str, ...] = ()) -> NewExperiment:
    """A holdout that holds this part of all new devices, above 0 and below 1. Raises InvalidExperiment."""
    if not 0 < share < 1:
        raise InvalidExperiment("must be above 0% and below 100%, such as 5% or 0.05", field="share")
    variants = Variant(HELD, 100 * share), Variant(FREE, 100 * (1 - share))
    return NewExperiment(key, variants, description, metrics, baseline=HELD).checked()


def new_group(key: str, description: str = "") -> NewExperiment:
    """A group without experiments. Raises InvalidExperiment."""
    return NewExperiment(check_key(key), (), check_description(description), coverage=Decimal(0))


def members(group: Experiment) -> dict[str, Decimal]:
    """The experiments that are in a group, by key, with the part of all devices that each gets."""
    shares = zip(group.values, group.phase.weights, strict=True)
    return {key: share for key, share in shares if share}


def joined(group: Experiment, key: str, share: Decimal) -> Mapping[str, Decimal]:
    """The members after this experiment, which is in no group, has joined. Raises InvalidExperiment without room."""
    there = members(group)
    require_room(group.key, there.values(), share, "share")
    return there | {key: share}


def require_room(group: str, given: Iterable[Decimal], share: Decimal, field: str = "group_share") -> None:
    """Raises InvalidExperiment unless the group has this share left. `given`: the shares that it gives already."""
    free = 1 - sum(given, Decimal(0))
    if share > free:
        raise InvalidExperiment(
            f"the group {group} has only {percent(free)} left, not {percent(share)}", field, "group share"
        )


def left(group: Experiment, key: str) -> Mapping[str, Decimal]:
    """The members after this experiment has left, which frees its share. Raises Conflict if it is not a member."""
    there = members(group)
    if key not in there:
        raise Conflict(f"the experiment {key} is not in the group {group.key}", code="impossible_transition")
    return {member: share for member, share in there.items() if member != key}


def percent(part: Decimal) -> str:
    """The part as an exact percentage, such as 20%."""
    return f"{(100 * part).normalize():f}%"
