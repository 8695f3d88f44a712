"""Keeps text of strangers on the line of a log or a terminal where it is written."""


def one_line(text: str) -> str:
    """Return *text* with a question mark for each character that ends a line or moves a cursor."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else "?" for each in text)
