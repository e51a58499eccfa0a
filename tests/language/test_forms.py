"""What pages say once a form has done something."""

import re
from pathlib import Path

import abtest
from abtest.language import forms

SAID = re.compile(r'\bdid(?:: str)? ?= ?"(\w+)"|self\.attempt\(.*"(\w+)"\)')


def test_whatever_a_form_does_is_said_in_words() -> None:
    sources = [each.read_text() for each in Path(abtest.__file__).parent.glob("web/**/*.py")]
    said = {next(filter(None, match.groups())) for source in sources for match in SAID.finditer(source)}
    assert {"started", "joined", "signed_out"} <= said <= forms.DID.keys()
