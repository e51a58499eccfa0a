"""What a provider says about somebody: whether to believe it, and what it means here.

OpenID Connect Core 1.0, 3.1.3.7 and 5.1. Authlib and joserfc, which it brings, do the checks.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, import_key
from joserfc.jws import JWSRegistry
from msgspec import UNSET

from abtest.domain import Identity, text_fault
from abtest.errors import NotAdmitted
from abtest.web.single_sign_on.configuration import Configuration

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Those whose key only the provider has: never `none`, and none whose key this client or everybody knows."""
SKEW_SECONDS = 60
LONGEST_SUBJECT = 255
UNREADABLE = (JoseError, ValueError, TypeError, KeyError, AttributeError)
"""What the checks raise for a token or a key that is false or malformed."""
Claims = Mapping[str, Any]


def read_keys(document: Any) -> KeySet:
    """The keys of a provider. Keys of unknown kinds are left out, as RFC 7517 says."""
    keys: list[Key] = []
    for each in document["keys"]:
        with suppress(*UNREADABLE):
            keys.append(import_key(each))
    return KeySet(keys)


def verified(id_token: str, keys: KeySet, configuration: Configuration, nonce: str, access_token: str) -> Claims:
    """The claims of an ID token. Raises one of UNREADABLE; InvalidKeyIdError if its key is not one of these."""
    token = jwt.decode(id_token, keys, registry=JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False))
    options: Any = {
        "iss": {"essential": True, "value": configuration.issuer},
        "aud": {"essential": True, "value": configuration.client_id},
    }
    parameters = {"nonce": nonce, "client_id": configuration.client_id, "access_token": access_token}
    claims = CodeIDToken(token.claims, token.header, options, parameters)
    claims.validate(leeway=SKEW_SECONDS)
    if not 1 <= len(claims["sub"]) <= LONGEST_SUBJECT or text_fault(claims["sub"]):
        raise ValueError("the subject is empty, too long or not readable")
    return dict(claims)


def lacks(claims: Claims, configuration: Configuration) -> bool:
    """Whether a claim that is needed is missing."""
    return not {configuration.name_claim, configuration.role_claim} - {""} <= claims.keys()


def identity(claims: Claims, configuration: Configuration) -> Identity:
    """Who this is. Raises NotAdmitted if the claims don't tell the name."""
    name = claims.get(configuration.name_claim)
    if not isinstance(name, str) or not name:
        raise NotAdmitted(f"your account has no {configuration.name_claim}; ask whoever manages the accounts")
    if configuration.name_claim == "email" and claims.get("email_verified") is not True:
        raise NotAdmitted("your e-mail address is not verified there; ask whoever manages the accounts")
    grant = None
    if configuration.role_claim:
        told = claims.get(configuration.role_claim)
        values = told if isinstance(told, list) else [told]
        grant = next((granted for value, granted in configuration.roles if value in values), None)
    return Identity(claims["iss"], claims["sub"], name, grant if configuration.role_claim else UNSET)
