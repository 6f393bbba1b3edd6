"""Text from elsewhere, made safe to print: no line breaks, no terminal codes, no passwords."""

import re
import unicodedata

UNPRINTABLE = frozenset({"Cc", "Zl", "Zp"})
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
ESCAPES = {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"}


is_unprintable_in_json = re.compile(rf"[\x7f-\x9f\u2028\u2029{''.join(BIDI_CONTROLS)}]")
"""What JSON may hold as it is, and a terminal must not get."""


def escape_json(text: str) -> str:
    """Escape in a JSON text what controls a terminal or changes the direction of writing; its value stays the same."""
    return is_unprintable_in_json.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def escape(text: str) -> str:
    """Escape what would break a line, control a terminal or change the direction of writing."""
    return text if text.isalnum() else "".join(map(escape_character, text))


def escape_controls(text: str) -> str:
    """Escape the same but for backslashes, in a sentence whose parts may be escaped already."""
    return "".join(character if character == "\\" else escape_character(character) for character in text)


def escape_character(character: str) -> str:
    """Escape one character if needed."""
    if character in ESCAPES:
        return ESCAPES[character]
    if unicodedata.category(character) not in UNPRINTABLE and character not in BIDI_CONTROLS:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - two hex digits


def show_url(url: str) -> str:
    """Show a URL without what may be secret: everything up to the last @, and the values of its query."""
    scheme = re.match(r"[a-z][a-z0-9+.-]*://|", url, re.IGNORECASE)
    rest = url.removeprefix(scheme[0] if scheme else "").rpartition("@")[2]
    return f"{scheme[0] if scheme else ''}{re.sub('=[^&#]*', '=…', rest)}"
