"""A device is known by the token that its app made up."""

import re

from abtest.errors import InvalidToken

TOKEN = re.compile(r"[\x21-\x7e]{1,128}")
LONGEST_TOKEN = 128
TOKEN_RULE = "Device-Token must be 1 to 128 visible ASCII characters (0x21-0x7E)"


def check_token(token: str) -> str:
    """The token. Raises InvalidToken."""
    if not TOKEN.fullmatch(token):
        raise InvalidToken(TOKEN_RULE)
    return token
