"""A journal's file as schema version 1 wrote it, and an append by a process of that version."""

import base64
import zlib
from pathlib import Path
from typing import Final

import apsw

VERSION_1_EVENTS: Final = 12
_VERSION_1: Final = (
    "eNrt2b9u00AAx/GLUyi0YaxCmrY53VREVPlvbGeiBasE0qQEV203HHKRojZ/SEwBVRmMxMAjsLDxADwCYuUdeBAWzi1yKQqJZRZA"
    "v49kKz6ffF/ppHjw40fVjs9puz/sej7VCCWSRO5QSgiRxJEmF8LruZ+uUz8O8mCnuk0mk8jGu483wh8FixTeixMAAAAAAAAAAAAA"
    "AAAAAMBfpCXNZ5eWUsFt32se8yM+8MMjfbfhbLoOdTe3qg4NR+h6z+ty6joHLt1tVHY2G4f0oXNYpCfe8XNOKzXX2XYatFZ3aW2v"
    "Wr1F9yvu/fqeSxv1/cq9J6n5bC6XCvJnq/AT3vNH52fp0krnY3R90B91/E6/Fz330pJns+hWtb51sV74bT6TU0mhvfZlTV39sJpd"
    "eZv/lu8uf13ezX0SNwAAAAAAAAAAAAAAAP57QSYzR16vnDK/0+Uj3+sOWFkxbcO2LUvXNjRTVkpWkYWffViZ9YctPtwY8Z7Piuxp"
    "v+fzlz4rn56Ps7I1LrIj/kpMtMT9F8OOH44yWfFU1W61LcUyTK1t2rbuNQ1Ps+VmS1ZlRcwd8WdiXXUcZBZn5phxc8wox0yUo4ic"
    "hZk5pbg5pSinlChHHgeL10XO8tQcI26OEeUYSXJsUXNtZo0et0aPavQkNZaomZ9Zo8Wt0aIaLUmNKWquzqxR49aoUY2apKYkaq7M"
    "rFHi1ihRjZKkxhgHC3Oi5ubUmrgxchQjJ4nRx0E2LWLU38botmzbv9QMvE5r8kYVWTNs+fxm5LE/2zRNlEnTy1QlfpkysSzRBoo/"
    "6WxqaplqarIWt0yeWJZoN5XxQvhKo3irAwAAAAAAAAAAAAAAAAAA/Mu+A9eiPYY="
)


def write_version_1(path: Path) -> None:
    """Write a file of schema version 1 with 12 events: three order.paid and nine order.sent."""
    path.write_bytes(zlib.decompress(base64.b64decode(_VERSION_1)))


def append_as_version_1(connection: apsw.Connection, row: bytes) -> None:
    """Append a record with the statement of version 1, which knows no checksum."""
    connection.execute(
        "INSERT INTO events (position, event) SELECT ?1, ?2 WHERE (SELECT max(position) FROM events) = ?1 - 1",
        (connection.execute("SELECT max(position) + 1 FROM events").get, row),
    )
