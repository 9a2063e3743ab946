"""`HTTPTask`: a request that a web server answers now, or has answered."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from .errors import InvalidTask
from .task import Task

Headers = list[tuple[str, str]]

_INDICATOR_A: Final = 0x1F1E6  # the regional indicator of the letter A: two of them are a flag
# What Cloudflare answers where there is no country: an unknown address, and the Tor network.
_NO_COUNTRIES: Final = frozenset({"XX", "T1"})


@dataclass(eq=False)
class HTTPTask(Task):
    """A request and its response. Headers are pairs, names in upper case; a header may appear twice."""

    protocol: str | None = None
    host: str | None = None
    method: str | None = None
    path: str | None = None
    params: dict[str, str] | None = None
    uri: str | None = None
    client_ip_address: str | None = None
    request_headers: Headers | None = None
    status_code: int | None = None
    status_message: str | None = None
    response_headers: Headers | None = None

    kinds: ClassVar[dict[str, type | tuple[type, ...]]] = {
        **Task.kinds,
        "protocol": str,
        "host": str,
        "method": str,
        "path": str,
        "params": dict,
        "uri": str,
        "client_ip_address": str,
        "status_code": int,
        "status_message": str,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.request_headers = _headers(self.request_headers, "request_headers")
        self.response_headers = _headers(self.response_headers, "response_headers")

    def get_single_request_header(self, name: str) -> str | None:
        """Return the value of a header of the request, its name in any case; None if it is missing.

        `AssertionError` if it appears twice.
        """
        return _single(self.request_headers, name)

    def get_single_response_header(self, name: str) -> str | None:
        """Return the value of a header of the response, as `get_single_request_header` does."""
        return _single(self.response_headers, name)

    def get_host(self) -> str | None:
        """Return the header `Host` of the request."""
        return self.get_single_request_header("HOST")

    def get_user_agent(self) -> str | None:
        """Return the header `User-Agent` of the request."""
        return self.get_single_request_header("USER-AGENT")

    def get_accept_encoding(self) -> str | None:
        """Return the header `Accept-Encoding` of the request."""
        return self.get_single_request_header("ACCEPT-ENCODING")

    def get_content_length(self) -> int | None:
        """Return the length of the response's body in bytes; None if it is missing, or no number."""
        length = self.get_single_response_header("CONTENT-LENGTH")
        return int(length) if length is not None and length.isascii() and length.isdigit() else None

    def get_ip_country(self) -> str | None:
        """Return the country of the client by Cloudflare's header `CF-IPCountry`: two letters in upper case, or T1."""
        country = self.get_single_request_header("CF-IPCOUNTRY")
        return country.upper() if country else None

    def get_flag(self) -> str | None:
        """Return the flag of the client's country, as an emoji; None if there is none."""
        country = self.get_ip_country()
        is_country = country is not None and len(country) == 2 and country.isascii() and country.isalpha()
        if country is None or not is_country or country in _NO_COUNTRIES:
            return None
        return "".join(chr(_INDICATOR_A + ord(letter) - ord("A")) for letter in country)

    def get_original_ip(self) -> str | None:
        """Return the address of the user: the first one in `X-Forwarded-For`, otherwise that of the connection."""
        forwarded = self.get_single_request_header("X-FORWARDED-FOR")
        first = forwarded.partition(",")[0].strip() if forwarded else ""
        return first or self.client_ip_address


def _headers(given: Any, field: str) -> Headers | None:
    if given is None:
        return None
    try:
        pairs = [(name, value) for name, value in given]
    except (TypeError, ValueError):
        raise InvalidTask(f"{field} is a list of pairs, a name and a value, or None, got {given!r:.80}") from None
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidTask(f"{field} is a list of pairs of text, got {(name, value)!r:.80}")
    return pairs


def _single(headers: Headers | None, name: str) -> str | None:
    wanted = name.upper()
    values = [value for each, value in headers or () if each.upper() == wanted]
    assert len(values) <= 1, f"the header {wanted} appears {len(values)} times: read all of them from the headers"
    return values[0] if values else None
