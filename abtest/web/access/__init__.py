"""Who makes a request, and who may."""

from abtest.web.access.browsers import browser_name
from abtest.web.access.callers import Callers
from abtest.web.access.needs import (
    ADMIN,
    ADMIN_EVERYWHERE,
    EDIT,
    LOOK,
    LOOK_CLOSELY,
    LOOK_EVERYWHERE,
    OPEN,
    SAFE_METHODS,
    SIGNED_IN,
    VIEW,
    Caller,
    Need,
    Needs,
    Scope,
    needs_by_method,
)

__all__ = [
    "ADMIN",
    "ADMIN_EVERYWHERE",
    "EDIT",
    "LOOK",
    "LOOK_CLOSELY",
    "LOOK_EVERYWHERE",
    "OPEN",
    "SAFE_METHODS",
    "SIGNED_IN",
    "VIEW",
    "Caller",
    "Callers",
    "Need",
    "Needs",
    "Scope",
    "browser_name",
    "needs_by_method",
]
