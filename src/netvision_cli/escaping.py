"""Text of others, made safe to show: it can break no line and drive no terminal, and tells no password."""

import re
import unicodedata

UNPRINTABLE = frozenset({"Cc", "Zl", "Zp"})
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
ESCAPES = {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"}


def escape(text: str) -> str:
    """Show what would break a line, drive a terminal or turn its writing around."""
    return text if text.isalnum() else "".join(map(escape_character, text))


def escape_character(character: str) -> str:
    """Show one character."""
    if character in ESCAPES:
        return ESCAPES[character]
    if unicodedata.category(character) not in UNPRINTABLE and character not in BIDI_CONTROLS:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - two hex digits


def without_password(text: str) -> str:
    """Leave out the user and the password of a URL."""
    return re.sub(r"(?<=//)[^/@]*@", "", text)
