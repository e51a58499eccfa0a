"""What can go wrong. One place turns these errors into HTTP, and one into exit codes."""


class AbtestError(Exception):
    """Something that the person or program that made the request can understand and act on.

    `code` is the stable word that programs test for; the message is for people. `field`: what was entered where it
    can't be accepted, and `reason` the message without it. `said`: what the message calls the field.
    """

    code = "error"

    def __init__(
        self, message: str, code: str | None = None, field: str | None = None, said: str | None = None
    ) -> None:
        self.field, self.reason = field, message
        self.said = said if field is None or said is not None else field.replace("_", " ")
        super().__init__(message if field is None else f"{self.said}: {message}")
        if code is not None:
            self.code = code


class InvalidToken(AbtestError):
    """The Device-Token header is not 1 to 128 visible ASCII characters, exactly once."""

    code = "invalid_token"


class InvalidContext(InvalidToken):
    """The context of an OFREP request can't be read, or names no device that could be one."""

    code = "invalid_context"


class InvalidSetting(AbtestError):
    """A setting has a value that can't be used."""

    code = "invalid_setting"


class InvalidExperiment(AbtestError):
    """A part of an experiment, such as its key, a value or a weight, can't be accepted; the message says which.

    `field`: as programs send it, such as `stop_at` or `variants[0].weight`; `said`: what the message calls it, by
    default the same. `hint`: what ends the message, for those who write it as text rather than into fields.
    """

    code = "invalid_experiment"

    def __init__(self, message: str, field: str | None = None, said: str | None = None, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message, field=field, said=said or field)
        self.fault = message


class InvalidTestDevice(AbtestError):
    """What was chosen for a test device, or its note, can't be accepted; the message says why."""

    code = "invalid_test_device"


class InvalidField(AbtestError):
    """What was entered about a person or an access token can't be accepted; the message names the field."""

    code = "invalid_field"


class InvalidJson(AbtestError):
    """A request's body is not JSON, or has a key twice."""

    code = "invalid_json"


class InvalidEvent(AbtestError):
    """A field of an event can't be accepted; the message names it."""

    code = "invalid_field"


class UnsupportedType(AbtestError):
    """A request's Content-Type is not application/json."""

    code = "unsupported_media_type"


class TooLarge(AbtestError):
    """A request's body is over the limit."""

    code = "too_large"


class UnknownExperiment(AbtestError):
    """No experiment, group or holdout has this key."""

    code = "unknown_experiment"

    def __init__(self, key: str, kind: str = "experiment") -> None:
        super().__init__(f"there is no {kind} {key!r}")
        self.kind = kind


class UnknownApp(AbtestError):
    """No app has this key."""

    code = "unknown_app"

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no app {key!r}")


class UnknownDevice(AbtestError):
    """This token never asked for its experiments."""

    code = "unknown_device"


class UnknownTestDevice(AbtestError):
    """No test device has this token."""

    code = "unknown_test_device"

    def __init__(self) -> None:
        super().__init__("no test device has this token")


class UnknownPerson(AbtestError):
    """Nobody has this name."""

    code = "unknown_person"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no person {name!r}")


class UnknownAccessToken(AbtestError):
    """No access token has this id."""

    code = "unknown_access_token"

    def __init__(self, id: int) -> None:
        super().__init__(f"there is no access token {id}")


class UnknownLink(AbtestError):
    """A one-time link was used, has expired, or was replaced by a newer one; or there never was one."""

    code = "unknown_link"

    def __init__(self) -> None:
        super().__init__("this link was used already, has expired, or was replaced by a newer one; ask for another")


class UnknownSharedLink(AbtestError):
    """There is no such shared link, or it was revoked: it is not said which. `id` is None for an unknown secret."""

    code = "unknown_shared_link"

    def __init__(self, id: int | None = None) -> None:
        super().__init__("there is no such shared link" if id is None else f"there is no shared link {id}")


class NotSignedIn(AbtestError):
    """The secret of a session or an access token is unknown, was ended, or has expired: it is not said which."""

    code = "not_signed_in"

    def __init__(self) -> None:
        super().__init__("sign in, or send an access token that is in force")


class Forbidden(AbtestError):
    """Whoever signed in may not do this: the role is too low, or is for another app."""

    code = "forbidden"


class ChangedMeanwhile(AbtestError):
    """Somebody changed it after it was read; nothing was done."""

    code = "changed_meanwhile"


class PreconditionRequired(AbtestError):
    """A change does not say as what the thing was seen that it changes."""

    code = "precondition_required"

    def __init__(self) -> None:
        super().__init__("send the ETag that you read in If-Match, or * to change it whatever it is by now")


class WrongPassword(AbtestError):
    """Nobody has this name and this password; it is not said which of them is wrong."""

    code = "wrong_password"

    def __init__(self) -> None:
        super().__init__("the name or the password is wrong")


class NotAdmitted(AbtestError):
    """Who signs in is known to the provider, or to the proxy, but has no place here; the message says whom to ask."""

    code = "not_admitted"


class UnknownSignIn(AbtestError):
    """Who comes back from a provider didn't go there from this browser, or too long ago, or was back already."""

    code = "unknown_sign_in"

    def __init__(self) -> None:
        super().__init__("this sign-in was begun in another browser or too long ago, or is done already; begin again")


class ProviderFailed(AbtestError):
    """The OpenID provider can't be reached, or what it says can't be believed. The log says why."""

    code = "provider_failed"


class TooManyAttempts(AbtestError):
    """Too many failed to sign in with this name, or from this address. `retry_after` in seconds."""

    code = "too_many_attempts"

    def __init__(self, retry_after: int) -> None:
        seconds = f"{retry_after} second{'s' if retry_after != 1 else ''}"
        super().__init__(f"too many attempts to sign in with this name or from this address; try again in {seconds}")
        self.retry_after = retry_after


class Conflict(AbtestError):
    """What is to be made already exists, or the state of what is to be changed does not allow it."""

    code = "conflict"


class Unavailable(AbtestError):
    """The answer can't be stored right now; ask again after `retry_after` seconds.

    `code` names the cause: `busy`, `storage_full`, `draining`, `queue_full`, `too_many_connections`,
    `too_many_exports`; with PostgreSQL also `database_away`, `database_read_only`, `answers_lost`.
    """

    code = "busy"
    retry_after = 1


class TooManyDevices(AbtestError):
    """Too many new devices came from this source; known devices are never limited. `retry_after` in seconds."""

    code = "too_many_new_devices"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(AbtestError):
    """No server answers at the URL that a command was given."""

    code = "unreachable"


class CannotStart(AbtestError):
    """A port is taken, or a process can't be started."""

    code = "cannot_start"


class StorageError(AbtestError):
    """The database can't be used: no permission, not a database, wrong schema, or an SQLite with the WAL bug."""

    code = "storage_failed"
    retry_after = 5
