"""Text of others on a terminal: what an operator, a venue or a file said is shown, never obeyed.

A reason or an error may hold escape sequences that colour, erase or move what stands beside it, line breaks
that forge a line, and marks that turn the direction of writing.  What must stay true: whatever is printed for
a person goes through `plain`, line by line; JSON needs it not, since it escapes by itself.
"""

from __future__ import annotations

import unicodedata

# control, format (the direction of writing too), line and paragraph separators, halves of a character
_OBEYED = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})


def plain(text: str) -> str:
    """One line with nothing in it that a terminal would obey: such characters as Python escapes them."""
    if text.isprintable():
        return text
    return "".join(_shown(one) for one in text)


def _shown(one: str) -> str:
    return one.encode("unicode_escape").decode() if unicodedata.category(one) in _OBEYED else one
