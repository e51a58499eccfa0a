"""Texts in files that spreadsheets open."""

import re

FORMULA = re.compile(r"[=+\-@\t\r]")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def harmless(text: str) -> str:
    """A text that a spreadsheet would take for a formula, marked as a text."""
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text
