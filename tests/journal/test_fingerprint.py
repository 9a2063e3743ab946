"""Fingerprints: one event, one fingerprint, however its record is written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.journal import draft
from journeyman.journal.event import record
from journeyman.journal.fingerprint import FINGERPRINT_CHARS, fingerprint, fingerprint_of

writers = st.text(min_size=1, max_size=40).filter(lambda text: text.isascii() and text.isprintable())


@given(writers, st.integers(1, 2**53), writers, st.integers(1, 2**53))
def test_fingerprints_differ_between_events(writer: str, seq: int, other: str, other_seq: int) -> None:
    one, two = fingerprint_of(writer, seq), fingerprint_of(other, other_seq)
    assert (one == two) == ((writer, seq) == (other, other_seq))
    assert len(one) == FINGERPRINT_CHARS
    assert int(one, 16) >= 0


@given(writers, st.integers(1, 2**53))
def test_fingerprint_does_not_depend_on_encoding(writer: str, seq: int) -> None:
    drafted = draft("order.paid", {"order": 7}, "7")
    drafted.writer, drafted.seq = writer, seq
    _, row = record(drafted, 1.5)
    rewritten = json.dumps({"seq": seq, "checksum": 1, **json.loads(row)}, indent=2).encode()
    assert fingerprint(row) == fingerprint(rewritten) == fingerprint_of(writer, seq)


@pytest.mark.parametrize(
    "row",
    [
        b"",
        b"not JSON",
        b"\xff\xfe",
        b"[1]",
        b'{"name": "other.program"}',
        b'{"writer": "w", "seq": 0}',
        b'{"writer": 1, "seq": "x"}',
        b'{"writer": "", "seq": 3}',
        b'{"writer": "w", "seq": 1, "context": ' + b"[" * 100_000,
    ],
)
def test_unidentified_record_is_known_by_its_bytes(row: bytes) -> None:
    assert fingerprint(row) == fingerprint(bytes(bytearray(row)))
    assert fingerprint(row) != fingerprint(row + b" ")
    assert len(fingerprint(row)) == FINGERPRINT_CHARS
