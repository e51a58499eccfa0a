"""Settings of single sign-on that can't be meant are refused at the start."""

from typing import Any

import pytest
from msgspec import structs

from abtest.domain import Role
from abtest.errors import InvalidSetting
from abtest.settings import Settings
from abtest.web.single_sign_on.configuration import configured, parse_roles
from tests.conftest import Run

SETTINGS = Settings(
    public_url="https://ab.example.com", oidc_issuer="https://id.example.com/realms/a", oidc_client_id="abtest"
)


def test_the_redirect_uri_is_below_the_public_url() -> None:
    found = configured(structs.replace(SETTINGS, base_path="/abtest", public_url="https://ab.example.com/abtest/"))
    assert found is not None
    assert found.return_url == "https://ab.example.com/abtest/sign-in/provider/return"
    assert found.signed_out_url == "https://ab.example.com/abtest/sign-in"
    assert configured(Settings(public_url="http://ab.example.com")) is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"public_url": ""}, "public-url: must be given with oidc-issuer"),
        ({"public_url": "http://ab.example.com"}, "public-url: must be given with oidc-issuer, and begin with https"),
        ({"oidc_issuer": "http://id.example.com"}, "oidc-issuer: must begin with https"),
        ({"oidc_issuer": "id.example.com"}, "oidc-issuer: must begin with https"),
        ({"oidc_issuer": "https://id.example.com?a"}, "oidc-issuer: must begin with https"),
        ({"oidc_issuer": "https://[id"}, "oidc-issuer: Invalid IPv6 URL"),
        ({"oidc_client_id": ""}, "oidc-client-id: must be given"),
        ({"oidc_scope": "profile email"}, "oidc-scope: must contain openid"),
        ({"oidc_roles": "a=owner"}, "oidc-roles: 'a=owner' must look like VALUE=ROLE"),
        ({"oidc_roles": "=admin"}, "must look like"),
        ({"oidc_roles": "a=admin@"}, "must look like"),
    ],
)
def test_what_can_not_be_meant_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidSetting) as error:
        configured(structs.replace(SETTINGS, **change))
    assert told in str(error.value)


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:9000"])
def test_this_machine_needs_no_tls(host: str) -> None:
    here = structs.replace(SETTINGS, public_url=f"http://{host}", oidc_issuer=f"http://{host}")
    assert configured(here)


def test_roles_are_read_in_the_order_of_the_setting() -> None:
    assert parse_roles(" a=b=admin , x:y=editor@staging,, z=viewer") == (
        ("a=b", (Role.ADMIN, None)),
        ("x:y", (Role.EDITOR, "staging")),
        ("z", (Role.VIEWER, None)),
    )
    assert parse_roles("") == ()


def test_the_secret_is_shown_nowhere(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = structs.replace(SETTINGS, oidc_client_secret="hush")
    assert "hush" not in repr(settings) + repr(configured(settings))
    assert settings.environment()["ABTEST_OIDC_CLIENT_SECRET"] == "hush"
    monkeypatch.setenv("ABTEST_OIDC_CLIENT_SECRET", "hush")
    assert "hush" not in run("serve", "--help").output
    assert run("serve", "--oidc-client-secret", "hush").exit_code == 2


def test_a_mistake_in_the_settings_ends_the_start(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABTEST_OIDC_ISSUER", "http://id.example.com")
    assert isinstance(run("serve").exception, InvalidSetting)
    assert isinstance(run("up").exception, InvalidSetting)
