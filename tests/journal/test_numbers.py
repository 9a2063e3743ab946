"""Whole numbers in texts."""

import pytest
from journeyman.journal.numbers import is_number


@pytest.mark.parametrize("text", ["0", "42", "007", "9" * 18, b"42"])
def test_ascii_digits_are_a_number(text: str | bytes) -> None:
    assert is_number(text)
    int(text)


@pytest.mark.parametrize("text", ["", "²", "٣", "1_0", "+1", "-1", " 1", "1.0", "x", "9" * 19, "9" * 5_000, b"\xb2"])
def test_other_text_is_no_number(text: str | bytes) -> None:
    assert not is_number(text)
