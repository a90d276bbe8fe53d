"""Names of clips and texts in one form, as two systems may write the same letters in two ways (Unicode Standard Annex 15)."""

from __future__ import annotations

import unicodedata

FORBIDDEN = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of surrogate pairs (bytes that are no UTF-8), ends of lines


def one_form(text: str) -> str:
    """The text in NFC: é is one letter, however it was typed."""
    return unicodedata.normalize("NFC", text)


def compared(text: str) -> str:
    """The text as comparisons see it: NFKC (ligatures and wide letters are plain ones), one apostrophe, no invisible letters."""
    plain = unicodedata.normalize("NFKC", text).translate({0x2019: "'", 0x02BC: "'"})
    return "".join(letter for letter in plain if unicodedata.category(letter) != "Cf")  # soft hyphens, joiners, marks of direction


def may_be_an_id(name: str) -> bool:
    """Whether every file of results can name it: any letters, joined ones and rare spaces among them."""
    return name not in ("", "*") and not any(unicodedata.category(letter) in FORBIDDEN for letter in name)


def of_path(path: str) -> str:
    """The id of a file by its name: in one form, with \\xe9 in place of a byte that is no UTF-8 and of a control character."""
    return "".join(_escaped(letter) if unicodedata.category(letter) in FORBIDDEN else letter for letter in one_form(path))


def _escaped(letter: str) -> str:
    code = ord(letter)
    byte = code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code  # how Python keeps a byte of a name that is no UTF-8
    return f"\\x{byte:02x}" if byte < 0x100 else f"\\u{byte:04x}"
