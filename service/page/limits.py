"""The limits of the page, each with its unit."""

from typing import Final

# How many hexadecimal digits of a digest name the files.
DIGEST_CHARS: Final = 16
# How long a browser may keep a file that its address names exactly, in seconds: a year.
FILE_SECONDS_KEPT: Final = 31_536_000
# All files together, in bytes, uncompressed; a test holds the page to it.
PAGE_BYTES_MAX: Final = 150 * 1_024
