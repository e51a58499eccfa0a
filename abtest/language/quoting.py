"""What people wrote, inside a sentence: where it begins and where it ends."""


def quoted(text: str) -> str:
    """“Buy now”."""
    return f"\N{LEFT DOUBLE QUOTATION MARK}{text}\N{RIGHT DOUBLE QUOTATION MARK}"


def value_said(value: str) -> str:
    """The value of a variant: bare, or in quotation marks if there is a space in it."""
    return quoted(value) if any(map(str.isspace, value)) else value
