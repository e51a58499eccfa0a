"""Who may call what: each route declares it, and the caller is known before its handler begins."""

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from abtest.domain import AccessToken, By, Hand, Person, Role, Session, may

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Scope(Enum):
    """Where a role must be held."""

    THIS_APP = "the app of the path"
    EVERY_APP = "every app"
    ANY_APP = "any app"


class Need(Struct, frozen=True):
    """What a method of a route needs.

    `role`: the lowest role that is enough; None if anybody who reaches the port may call it. `looks`: it changes
    nothing, and somebody who has not signed in may call it if `ABTEST_ANONYMOUS` lets them look.
    """

    role: Role | None
    looks: bool = False
    scope: Scope = Scope.THIS_APP


OPEN = Need(None)
LOOK = Need(Role.VIEWER, looks=True)
LOOK_CLOSELY = Need(Role.EDITOR, looks=True)
LOOK_EVERYWHERE = Need(Role.ADMIN, looks=True, scope=Scope.EVERY_APP)
VIEW = Need(Role.VIEWER)
EDIT = Need(Role.EDITOR)
ADMIN = Need(Role.ADMIN)
ADMIN_EVERYWHERE = Need(Role.ADMIN, scope=Scope.EVERY_APP)
SIGNED_IN = Need(Role.VIEWER, scope=Scope.ANY_APP)

Needs = Need | Mapping[str, Need]
"""The needs of a route: of all its methods, or by method. HEAD needs what GET needs."""


class Caller(Struct, frozen=True):
    """Who makes a request. `who`: None for somebody who has not signed in. `session`: the person's, if by browser.

    `anonymous`: the role with which somebody who has not signed in may look; None for not at all. `address`: where
    the request comes from.
    """

    who: Person | AccessToken | None = None
    session: Session | None = None
    anonymous: Role | None = None
    address: str | None = None

    @property
    def by(self) -> By:
        """Who changes something, as the journal says it. Only for a caller who has signed in."""
        assert self.who
        kind = Hand.PERSON if isinstance(self.who, Person) else Hand.ACCESS_TOKEN
        return By(kind, self.who.name, self.address)

    def may(self, need: Need, app: str) -> bool:
        """Whether the need is met in this app."""
        if need.role is None:
            return True
        if self.who is None:
            return need.looks and self.anonymous is not None and self.anonymous.includes(need.role)
        where = {Scope.THIS_APP: app, Scope.EVERY_APP: None, Scope.ANY_APP: self.who.app}[need.scope]
        return may(self.who, need.role, where)


def needs_by_method(needs: Needs, methods: list[str], name: str) -> dict[str, Need]:
    """The need of each of a handler's methods. Raises TypeError for one that is not declared."""
    if isinstance(needs, Need):
        return dict.fromkeys(methods, needs)
    found = {method: needs.get("GET" if method == "HEAD" else method) for method in methods}
    missing = [method for method, need in found.items() if need is None]
    if missing:
        raise TypeError(f"{name}: who may call {', '.join(missing)} is not declared")
    return {method: need for method, need in found.items() if need is not None}
