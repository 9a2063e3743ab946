"""Makes a PNG small: its 256 most frequent colours as a palette, which a drawing of text and bars does not show."""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = 256


def smaller(png: bytes) -> bytes:
    """The same image with a palette; `png` has 8 bits for each of red, green and blue."""
    chunks = list(_chunks(png))
    width, height, depth, kind = struct.unpack(">IIBB", chunks[0][1][:10])
    assert (depth, kind) == (8, 2), "expected red, green and blue of 8 bits each"
    rows = _rows(zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT")), 3 * width, height)
    pixels = [row[at : at + 3] for row in rows for at in range(0, 3 * width, 3)]
    counts = Counter(pixels)
    palette = [colour for colour, _ in counts.most_common(COLOURS)]
    places = {colour: place for place, colour in enumerate(palette)}
    for colour in counts:
        if colour not in places:
            places[colour] = min(range(len(palette)), key=lambda place: _distance(palette[place], colour))
    indices = bytes(places[pixel] for pixel in pixels)
    lines = b"".join(b"\0" + indices[at : at + width] for at in range(0, len(indices), width))
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", b"".join(palette)), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return SIGNATURE + b"".join(map(_chunk, *zip(*parts, strict=True)))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(png):
        size, name = struct.unpack(">I4s", png[at : at + 8])
        yield name, png[at + 8 : at + 8 + size]
        at += size + 12


def _rows(data: bytes, size: int, height: int) -> list[bytes]:
    """The rows of an image, with the filters of PNG undone."""
    rows: list[bytes] = []
    before = bytes(size)
    for number in range(height):
        begin = number * (size + 1)
        row = bytearray(data[begin + 1 : begin + 1 + size])
        match data[begin]:
            case 1:
                for at in range(3, size):
                    row[at] = (row[at] + row[at - 3]) & 255
            case 2:
                row = bytearray((one + other) & 255 for one, other in zip(row, before, strict=True))
            case 3:
                for at in range(size):
                    row[at] = (row[at] + ((row[at - 3] if at > 2 else 0) + before[at]) // 2) & 255
            case 4:
                for at in range(size):
                    left, corner = (row[at - 3], before[at - 3]) if at > 2 else (0, 0)
                    row[at] = (row[at] + _paeth(left, before[at], corner)) & 255
        before = bytes(row)
        rows.append(before)
    return rows


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda each: abs(guess - each))


def _distance(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
