"""What forms call their fields, and what a page says once a form has done something."""

DID = {
    "added": "The experiment is added, as a draft.",
    "edited": "The changes are saved.",
    "unchanged": "Nothing was changed.",
    "added_running": "The experiment is running.",
    "link_revoked": "The link is revoked and no longer works.",
    "started": "Started: devices that make their first request from now on take part.",
    "paused": "Paused: no new device takes part, and those in it keep their values.",
    "resumed": "Resumed: devices that make their first request from now on take part.",
    "reweighted": "A new phase has begun. Devices that came before keep their values.",
    "finished": "Finished: devices in it keep their values, and new ones get the winner, if there is one.",
    "group_added": "The group is added. Next, add experiments to it.",
    "joined": "Added: the experiment gets only the new devices that the group gives it.",
    "left": "Taken out: any new device can take part in the experiment again.",
    "holdout_added": "The holdout has begun.",
    "holdout_ended": "The holdout has ended: no more devices are held.",
    "holdout_measured": "The metrics are saved; the figures follow within seconds.",
    "test_device_made": "Saved: the token gets these values from its next request on.",
    "test_device_removed": "Removed: the token is no longer a test device.",
    "forgotten": "Forgotten: the token and its events are erased.",
    "forgotten_but_in_log": "Forgotten. The database's log may still contain the token, because a program is "
    "reading the database; the next erasure removes it.",
    "app_added": "The app is added. Its devices can ask within a second.",
    "disconnected": "The account is disconnected, and all sessions have ended.",
    "password_changed": "Your password is changed. All other sessions have ended.",
    "person_removed": "The person is removed and signed out everywhere.",
    "role_changed": "The role is changed, with immediate effect.",
    "sessions_ended": "Done: whoever was signed in there has to sign in again.",
    "signed_out": "You are signed out.",
    "token_revoked": "The access token is revoked: programs that use it are refused.",
}
"""By the word that the browser keeps until the next page: no sentence ever comes from there."""
LABELS = {
    "app": "App",
    "current": "Current password",
    "expires": "Last day",
    "experiment": "Experiment",
    "key": "Key",
    "name": "Name",
    "note": "Note",
    "password": "New password",
    "role": "Role",
    "share": "Share",
    "since": "Since",
    "winner": "Winner",
}
"""The fields of small forms."""
SAMPLE_LABELS = {
    "base": "Current rate",
    "mean": "Mean per device",
    "deviation": "Standard deviation",
    "effect": "Smallest effect worth finding",
    "per_day": "New devices per day",
}
"""What the planner is asked with, in its form and in that of an experiment."""
EXPERIMENT_LABELS = {
    "key": "Key",
    "description": "Description",
    "type": "Type",
    "variants": "Variants",
    "value": "Value",
    "weights": "Weights",
    "weight": "Weight",
    "baseline": "Baseline",
    "audience": "Audience",
    "wanted": "Condition",
    "coverage": "Coverage",
    "group": "Group",
    "group_share": "Share in the group",
    "metrics": "Metrics",
    "event": "Metric",
    "planned": "Planned devices",
    **SAMPLE_LABELS,
    "start_at": "Starts at",
    "end_at": "Ends at",
    "stop_at": "Stops at",
}
"""The fields of the form of an experiment, in its order."""
PLAN_LABELS = {
    **SAMPLE_LABELS,
    "devices": "Devices in total",
    "power": "Chance to find it",
    "variants": "Variants",
    "weights": "Weights",
}
"""The fields of the planner that are written in."""
SIMULATION_LABELS = {"devices": "Devices", "base": "Current rate", "effect": "Effect to find"}
UNAVAILABLE = "Not possible right now"
"""The heading of a page that says what passes by itself."""
