"""How fake devices behave: what they report and buy. The same token with the same values always does the same."""

import re
from collections.abc import Mapping, Sequence
from math import exp, prod
from random import Random
from uuid import UUID, uuid5

from msgspec import Struct

from abtest import clock
from abtest.domain import KEY
from abtest.errors import InvalidSetting
from abtest.language import number
from abtest.results import parse_number, parse_part

Effects = Mapping[tuple[str, str], float]
"""By key and value: how much more often a device with that value buys; 0.5 is half as often again."""

DEFAULT_RATE = "20%"
DEFAULT_DAYS, MOST_DAYS = 14, 90
DEFAULT_EFFECTS: Effects = {
    ("button_color", "#00FF00"): 0.3,
    ("price", "20"): -0.25,
    ("price", "50"): -0.8,
    ("price", "5"): 0.4,
}
"""With these and the rate above, 20,000 devices are enough for the right verdict on both demo experiments."""

PRICE_KEY = "price"
PRICE = re.compile(r"\d{1,9}(\.\d{1,4})?")
USUAL_AMOUNT = 9.99
MOST_SIGMA = 3.0
LEAST_AMOUNT, MOST_AMOUNT = 0.01, 10.0**11
LONGEST_DELAY = clock.HOUR
IDS = UUID("5f0d8a52-3b1e-4c5e-9a57-0a4d1f6f2c11")


class FakeEvent(Struct, frozen=True, omit_defaults=True):
    """An event as a device sends it."""

    id: str
    name: str
    at: str
    experiment: str | None = None
    value: str | None = None
    amount: str | None = None


class Sending(Struct, frozen=True):
    """The body of a request."""

    events: tuple[FakeEvent, ...]


class Behaviour(Struct, frozen=True):
    """What devices do: which part of them buys, and how their values change that.

    Their events are spread over the `days` before `until`, which is in milliseconds. `by_price`: buyers pay the price
    that they were shown. `spend_effects`: how much more buyers pay. `sigma`: amounts are log-normal around that, with
    this deviation of their logarithm; None leaves them as usual.
    """

    rate: float
    effects: Effects
    days: int
    until: int
    by_price: bool = True
    spend_effects: Effects = {}
    sigma: float | None = None

    def buying(self, values: Mapping[str, str]) -> float:
        """The probability that a device with these values buys."""
        rate = self.rate
        for pair in values.items():
            rate *= 1 + self.effects.get(pair, 0.0)
        return min(rate, 1.0)

    def sending(self, token: str, values: Mapping[str, str]) -> Sending:
        """All that this device has to report: an exposure for each experiment, and its purchase if it bought."""
        chance = Random(token)
        when, keenness, spread, delay = (chance.random() for _ in range(4))
        shown = round(self.until - when * self.days * clock.DAY)
        events = [
            FakeEvent(_id(token, f"exposure {key}"), "exposure", clock.iso(shown), experiment=key, value=value)
            for key, value in values.items()
        ]
        if keenness < self.buying(values):
            bought = clock.iso(round(min(shown + delay * LONGEST_DELAY, self.until)))
            amount = self._amount(values, spread, chance.gauss(0.0, 1.0))
            events.append(FakeEvent(_id(token, "purchase"), "purchase", bought, amount=amount))
        return Sending(tuple(events))

    def _amount(self, values: Mapping[str, str], spread: float, normal: float) -> str:
        price = values.get(PRICE_KEY, "")
        shown = price if self.by_price and PRICE.fullmatch(price) else None
        factor = prod(1 + self.spend_effects.get(pair, 0.0) for pair in values.items())
        if self.sigma is None:
            if shown is not None and factor == 1:
                return shown
            usual = USUAL_AMOUNT * (0.5 + spread) if shown is None else float(shown)
        else:
            usual = (USUAL_AMOUNT if shown is None else float(shown)) * exp(self.sigma * normal)
        return f"{min(max(usual * factor, LEAST_AMOUNT), MOST_AMOUNT):.2f}"


def parse_rate(text: str) -> float:
    """The part of the devices that buys. Raises InvalidSetting."""
    rate = parse_part(text, "rate")
    if not 0 <= rate <= 1:
        raise InvalidSetting("must be from 0% to 100%, such as 10%", field="rate")
    return rate


def parse_sigma(text: str) -> float:
    """The deviation of the logarithm of what buyers pay. Raises InvalidSetting."""
    sigma = parse_number(text, "spend_sigma")
    if not 0 <= sigma <= MOST_SIGMA:
        raise InvalidSetting(f"must be from 0 to {number(MOST_SIGMA)}, such as 1", field="spend_sigma")
    return sigma


def parse_effects(texts: Sequence[str], name: str = "--effect") -> Effects:
    """Effects from KEY:VALUE=PERCENT. Raises InvalidSetting that says what can't be understood, and where."""
    found: dict[tuple[str, str], float] = {}
    for place, text in enumerate(texts, start=1):
        pair, effect = _effect(text, f"{name} {place}")
        if pair in found:
            raise InvalidSetting(f"{':'.join(pair)} has an effect already", field=f"{name} {place}")
        found[pair] = effect
    return found


def _effect(text: str, where: str) -> tuple[tuple[str, str], float]:
    key, _, rest = text.partition(":")
    value, _, percent = rest.rpartition("=")
    if not KEY.fullmatch(key) or not value or not percent.endswith("%"):
        raise InvalidSetting("must look like KEY:VALUE=PERCENT, such as 'button_color:#00FF00=+50%'", field=where)
    effect = parse_part(percent, where)
    if effect < -1:
        raise InvalidSetting("must be -100% or more; at -100% nobody buys", field=where)
    return (key, value), effect


def _id(token: str, what: str) -> str:
    """An event's id, the same each time, so that a device that reports again sends duplicates."""
    return str(uuid5(IDS, f"{token} {what}"))
