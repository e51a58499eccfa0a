"""What can go wrong. One place turns these errors into HTTP, and one into exit codes."""


class AbtestError(Exception):
    """Something that the person or program that made the request can understand and act on.

    `code` is the stable word that programs test for; the message is for people. `field`: the field whose content
    can't be accepted, if there is one; `said`: what the message calls it; `reason`: the message without its name.
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
    """The Device-Token header is missing, is sent more than once, or is not 1 to 128 visible ASCII characters."""

    code = "invalid_token"


class InvalidContext(InvalidToken):
    """The context of an OFREP request can't be read, or its targeting key is missing or differs from the header."""

    code = "invalid_context"


class InvalidSetting(AbtestError):
    """A setting has a value that can't be used."""

    code = "invalid_setting"


class InvalidExperiment(AbtestError):
    """A part of an experiment, such as its key, a value or a weight, can't be accepted; the message says which.

    `field`: as programs send it, such as `stop_at` or `variants[0].weight`; `said`: what the message calls it, by
    default the same. `hint`: ends the message for people who write text; `fault`, the one for a form, has no hint.
    """

    code = "invalid_experiment"

    def __init__(self, message: str, field: str | None = None, said: str | None = None, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message, field=field, said=said or field)
        self.fault = message


class InvalidTestDevice(AbtestError):
    """A value chosen for a test device is none of the experiment's values; the message says which there are."""

    code = "invalid_test_device"


class InvalidField(AbtestError):
    """A field of a request, a form or a command can't be accepted; the message names it."""

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
    """The device with this token never asked for its experiments."""

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
    """A one-time link was used, has expired, was replaced by a newer one, or never existed."""

    code = "unknown_link"

    def __init__(self) -> None:
        super().__init__("this link was used already, has expired, or was replaced by a newer one; ask for a new one")


class UnknownSharedLink(AbtestError):
    """A shared link never existed or was revoked; the message does not say which.

    `id`: None if the link was looked for by its secret.
    """

    code = "unknown_shared_link"

    def __init__(self, id: int | None = None) -> None:
        super().__init__("there is no such shared link" if id is None else f"there is no shared link {id}")


class NotSignedIn(AbtestError):
    """A session or an access token is unknown, was ended, or has expired; the message does not say which."""

    code = "not_signed_in"

    def __init__(self) -> None:
        super().__init__("sign in, or send a valid access token")


class Forbidden(AbtestError):
    """Whoever signed in may not do this: the role is too low, or is for another app."""

    code = "forbidden"


class ChangedMeanwhile(AbtestError):
    """Somebody else changed the same thing after it was read; nothing was done."""

    code = "changed_meanwhile"


class PreconditionRequired(AbtestError):
    """A request for a change does not say, in If-Match, which state it is based on."""

    code = "precondition_required"

    def __init__(self) -> None:
        super().__init__("send If-Match with the ETag that you read, or with * to change it whatever its state")


class WrongPassword(AbtestError):
    """Nobody has this name and this password; the message does not say which of them is wrong."""

    code = "wrong_password"

    def __init__(self) -> None:
        super().__init__("the name or the password is wrong")


class NotAdmitted(AbtestError):
    """A person whom the provider or the proxy knows may not sign in here; the message says whom to ask."""

    code = "not_admitted"


class UnknownSignIn(AbtestError):
    """A sign-in that comes back from a provider began in another browser or too long ago, or came back before."""

    code = "unknown_sign_in"

    def __init__(self) -> None:
        super().__init__("this sign-in began in another browser or too long ago, or is complete already; begin again")


class ProviderFailed(AbtestError):
    """The OpenID provider can't be reached, or its answer can't be trusted. The log says why."""

    code = "provider_failed"


class TooManyAttempts(AbtestError):
    """Too many attempts to sign in with this name, or from this address, failed. `retry_after` in seconds."""

    code = "too_many_attempts"

    def __init__(self, retry_after: int) -> None:
        seconds = f"{retry_after} second{'s' if retry_after != 1 else ''}"
        super().__init__(f"too many attempts to sign in with this name or from this address; try again in {seconds}")
        self.retry_after = retry_after


class Conflict(AbtestError):
    """A thing to be made already exists, or a thing to be changed is in a state that does not allow the change."""

    code = "conflict"


class Unavailable(AbtestError):
    """The request can't be served at the moment; try again after `retry_after` seconds.

    `code` names the cause: `busy`, `storage_full`, `draining`, `queue_full`, `too_many_connections`,
    `too_many_exports`; with PostgreSQL also `database_away`, `database_read_only`, `answers_lost`.
    """

    code = "busy"
    retry_after = 1


class TooManyDevices(AbtestError):
    """Too many new devices came, from this source or in all; known ones are not limited. `retry_after` in seconds."""

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
