"""What a page says about a form: that it was done, or why it was refused."""

from collections.abc import Mapping

from abtest.errors import AbtestError
from abtest.web.pages.rendering import first_upper
from abtest.web.problems import Problem

DID = {
    "added": "The experiment is there, as a draft.",
    "edited": "The changes are saved.",
    "unchanged": "Nothing was changed.",
    "added_running": "The experiment is running.",
    "link_revoked": "The link is revoked: whoever has it sees nothing any more.",
    "started": "Started: devices whose first request comes from now on take part.",
    "paused": "Paused: no new device takes part, and those in it keep their values.",
    "resumed": "Resumed: devices whose first request comes from now on take part.",
    "reweighted": "A new phase has begun. Devices that came before keep their values.",
    "finished": "Finished: devices in it keep their values, and new ones get the winner, if there is one.",
    "group_added": "The group is there. Add experiments to it.",
    "joined": "Added: the experiment gets only the new devices that the group gives it.",
    "left": "Taken out: every new device may come to the experiment again.",
    "holdout_added": "The holdout has begun.",
    "holdout_ended": "The holdout has ended: no more devices are held.",
    "holdout_measured": "The metrics are saved; the figures follow within seconds.",
    "test_device_made": "Saved: the token gets these values from its next request on.",
    "test_device_removed": "Removed: the token is what it was before.",
    "forgotten": "Forgotten: the token and its events are erased.",
    "forgotten_but_in_log": "Forgotten. The database's log may still contain the token, because a program is "
    "reading the database; it goes with the next erasure.",
    "archived": "Archived: no device gets this key any more.",
    "app_added": "The app is added. Its devices can ask within a second.",
    "disconnected": "The account is disconnected, and all sessions have ended.",
    "password_changed": "Your password is changed. All other sessions have ended.",
    "person_removed": "The person is removed and signed out everywhere.",
    "role_changed": "The role is changed, and counts at once.",
    "sessions_ended": "Done: whoever was signed in there has to sign in again.",
    "signed_out": "You are signed out.",
    "token_revoked": "The access token is revoked: programs that use it are refused.",
}
"""By the word that the browser keeps until the next page: no sentence ever comes from there."""


def sentence(detail: str) -> str:
    """The detail of a problem as people read it."""
    return f"{first_upper(detail)}."


def told(problem: Problem, error: BaseException, labels: Mapping[str, str]) -> str:
    """Why a form was refused, with the label of the field that is wrong."""
    if isinstance(error, AbtestError) and error.field is not None:
        return sentence(f"{labels.get(error.field, error.said)}: {error.reason}")
    return sentence(problem.detail)
