"""Check the pages of a built site: every link leads somewhere, and nothing is fetched from another host."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urldefrag, urlsplit

_FETCHED: Final = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href"}
_IN_STYLE: Final = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])(https?:)?//[^)'\"]*")
_ONLY_NAMED: Final = ("canonical", "prev", "next")  # `rel` of links that no browser fetches


class _Page(HTMLParser):
    """The ids, the links and the fetched addresses of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one element is called and where it leads."""
        given = {name: value or "" for name, value in attrs}
        self.ids.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in _FETCHED and _FETCHED[tag] in given and given.get("rel") not in _ONLY_NAMED:
            self.fetched.append(given[_FETCHED[tag]])


def problems(site: Path) -> list[str]:
    """Each broken link, missing file and foreign address of the site, with its page; none if all is well."""
    pages = {path.resolve(): _Page(path) for path in sorted(site.rglob("*.html"))}
    found: list[str] = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve()).as_posix()
        if name == "404.html":  # its links are relative to the root of a server
            continue
        foreign = [address for address in page.fetched if urlsplit(address).netloc]
        found += [f"{name}: fetches {address} from another host" for address in foreign]
        faults = [_wrong(address, path, pages) for address in [*page.links, *page.fetched]]
        found += [f"{name}: {fault}" for fault in faults if fault]
    for path in sorted(site.rglob("*.css")):
        styles = _IN_STYLE.finditer(path.read_text(encoding="utf-8"))
        found += [f"{path.name}: fetches {match[0]} from another host" for match in styles]
    return found


def _wrong(address: str, path: Path, pages: dict[Path, _Page]) -> str:
    """Why a link within the site leads nowhere; empty if it leads somewhere, or out of the site."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return ""
    whole, anchor = urldefrag(address)
    target = (path.parent / unquote(urlsplit(whole).path)).resolve() if whole else path
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return f"the link {address} leads to no file"
    if anchor and target in pages and unquote(anchor) not in pages[target].ids:
        return f"the link {address} leads to no heading of {target.name}"
    return ""
