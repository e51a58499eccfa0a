"""The limit on new devices: a token bucket for each source, and one for all sources together."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from math import ceil

from msgspec import Struct

MOST_SOURCES = 100_000


class Rate(Struct, frozen=True):
    """`per_second` on average, `burst` at once. If `per_second` is 0, there is no limit."""

    per_second: float
    burst: float


class Limiter:
    """Two levels of token buckets (the idea of RFC 2697, with one colour). Times: seconds of a monotonic clock."""

    def __init__(self, per_source: Rate, in_all: Rate) -> None:
        self._per_source = per_source
        self._in_all = in_all
        self._sources: dict[str, tuple[float, float]] = {}
        self._all = (in_all.burst, 0.0)

    def take(self, source: str | None, now: float) -> int:
        """0 if this source may bring a new device now, else the whole seconds to wait. None is never limited."""
        if source is None:
            return 0
        mine, wait = _take(self._per_source, self._sources.get(source, (self._per_source.burst, now)), now)
        if wait:
            return wait
        self._all, wait = _take(self._in_all, self._all, now)
        if wait:
            return wait
        self._sources.pop(source, None)
        if len(self._sources) >= MOST_SOURCES:
            del self._sources[next(iter(self._sources))]  # quiet for longest, so its bucket is the fullest
        self._sources[source] = mine
        return 0

    def give_back(self, source: str | None) -> None:
        """Undo `take`: the device was already known, or was not enrolled."""
        if source is not None and source in self._sources:
            level, at = self._sources[source]
            self._sources[source] = (min(level + 1, self._per_source.burst), at)
            level, at = self._all
            self._all = (min(level + 1, self._in_all.burst), at)


def _take(rate: Rate, bucket: tuple[float, float], now: float) -> tuple[tuple[float, float], int]:
    if not rate.per_second:
        return bucket, 0
    level, at = bucket
    level = min(rate.burst, level + (now - at) * rate.per_second)
    if level < 1:
        return bucket, max(1, ceil((1 - level) / rate.per_second))
    return (level - 1, now), 0


class Proxies:
    """The proxies that are trusted to say which client they forward a request for."""

    def __init__(self, networks: str) -> None:
        """`networks`: addresses or networks, separated by commas. Raises ValueError."""
        self._networks = [ip_network(each.strip()) for each in networks.split(",") if each.strip()]

    def source(self, address: str, forwarded_for: str) -> str | None:
        """The source that a connection's new devices count against; None for this machine itself.

        It is the client's IPv4 address or its IPv6 network. If a trusted proxy names no client, it is the proxy's own
        address, even on this machine.
        """
        client, named = self._client(address, forwarded_for)
        return _counted_under(client) if named else client

    def client(self, address: str, forwarded_for: str) -> str:
        """The address that a connection's requests come from."""
        return self._client(address, forwarded_for)[0]

    def _client(self, address: str, forwarded_for: str) -> tuple[str, bool]:
        """The rightmost address that is not a trusted proxy, since anything to its left may be forged; and True.

        If a proxy names no readable address: the proxy's own address, and False.
        """
        if not forwarded_for or not self.trusts(address):
            return address, True
        asking = address
        for text in reversed(forwarded_for.split(",")):
            hop = _address(_without_port(text.strip()))
            if hop is None:
                return asking, False
            asking = str(hop)
            if not self._trusted(hop):
                break
        return asking, True

    def trusts(self, address: str) -> bool:
        """Whether this is the address of a trusted proxy."""
        return bool(self._networks) and self._trusted(_address(address))

    def _trusted(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


@lru_cache(maxsize=10_000)
def _counted_under(text: str) -> str | None:
    address = _address(text)
    if address is None or address.is_loopback:
        return None
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)


def _without_port(text: str) -> str:
    """192.0.2.1 from 192.0.2.1:80, and 2001:db8::1 from [2001:db8::1]:80: some proxies add the port."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
