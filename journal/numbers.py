"""Recognises whole numbers in URLs, options and environment variables."""

from typing import Final

# Enough for any count, size or time here; Python refuses to convert more than 4,300 digits, with its own message.
_DIGITS_MAX: Final = 18


def is_number(text: str | bytes) -> bool:
    """Whether `text` is a whole number in ASCII digits, such as ``42``.

    `str.isdigit` alone also takes ``²``, which `int` refuses.
    """
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
