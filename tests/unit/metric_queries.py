"""Finds in a query of Prometheus which series it reads, with which labels."""

import re
from typing import NamedTuple

_WORD = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SELECTOR = re.compile(rf"(?<![\w:$])({_WORD})\s*(?:{{([^}}]*)}})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
#: Words of the language that name no series; those before a bracket are its functions.
_KEYWORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "by", "on"}
#: What Prometheus itself makes of each scrape.
OF_PROMETHEUS = {"up"}


class Selector(NamedTuple):
    """One series that a query reads."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]

    def meets(self, labels):
        """Return whether labels of one sample match; what the dashboard's reader chooses may be anything."""
        return all(_matches(labels.get(name, ""), sign, value) for name, sign, value in self.matchers)


def selectors(query):
    """Return the selectors in *query*."""
    text = _GROUPING.sub(" ", query)
    text = re.sub(r"\[[^\]]*\]", " ", text)
    found = []
    for match in _SELECTOR.finditer(text):
        name, inside = match[1], match[2]
        rest = text[match.end() :].lstrip()
        is_quoted = text[: match.start()].count('"') % 2
        is_matcher = text[: match.start()].rfind("{") > text[: match.start()].rfind("}")
        if name in _KEYWORDS or is_quoted or is_matcher or (inside is None and rest.startswith("(")):
            continue
        found.append(Selector(name, tuple(_MATCHER.findall(inside or ""))))
    return found


def grouped_by(query):
    """Return the labels that *query* groups by or joins on."""
    return {name.strip() for names in _GROUPING.findall(query) for name in names.split(",") if name.strip()}


def _matches(own, sign, value):
    if "$" in value:
        return True
    is_equal = re.fullmatch(value, own) is not None if "~" in sign else own == value
    return is_equal is not sign.startswith("!")
