"""Single sign-on: people sign in at an OpenID provider, or at a proxy in front."""

from typing import TYPE_CHECKING

from abtest.settings import Settings
from abtest.web.single_sign_on.configuration import check_single_sign_on, configured
from abtest.web.single_sign_on.trips import Answer, Trip

if TYPE_CHECKING:
    from abtest.web.single_sign_on.provider import Provider

__all__ = ["Answer", "Trip", "check_single_sign_on", "make_provider"]


def make_provider(settings: Settings) -> "Provider | None":
    """The provider at which people sign in, if there is one. Raises InvalidSetting."""
    configuration = configured(settings)
    if configuration is None:
        return None
    from abtest.web.single_sign_on.provider import Provider  # noqa: PLC0415  # most need no cryptography in memory

    return Provider(configuration)
