"""Who may sign in or look: people, their links, accounts and sessions, access tokens, and shared links."""

from abtest.store.relational.admitting.access_token_rows import (
    access_token,
    access_tokens,
    add_access_token,
    revoke_access_token,
    use_access_token,
)
from abtest.store.relational.admitting.account_rows import admit, disconnect
from abtest.store.relational.admitting.first_link_rows import put_first_link, require_first_link, use_first_link
from abtest.store.relational.admitting.person_rows import (
    add_person,
    change_person,
    has_people,
    people,
    put_link,
    remove_person,
)
from abtest.store.relational.admitting.session_rows import (
    begin_session,
    change_password,
    end_sessions,
    linked,
    named,
    password,
    see_session,
    session,
    sessions,
    sign_out,
    use_link,
)
from abtest.store.relational.admitting.shared_link_rows import (
    add_shared_link,
    revoke_shared_link,
    shared_link,
    shared_links,
)

__all__ = [
    "access_token",
    "access_tokens",
    "add_access_token",
    "add_person",
    "add_shared_link",
    "admit",
    "begin_session",
    "change_password",
    "change_person",
    "disconnect",
    "end_sessions",
    "has_people",
    "linked",
    "named",
    "password",
    "people",
    "put_first_link",
    "put_link",
    "remove_person",
    "require_first_link",
    "revoke_access_token",
    "revoke_shared_link",
    "see_session",
    "session",
    "sessions",
    "shared_link",
    "shared_links",
    "sign_out",
    "use_access_token",
    "use_first_link",
    "use_link",
]
