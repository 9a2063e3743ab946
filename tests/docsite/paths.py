"""Where the pages come from, and where the site goes."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
CONFIGURATION: Final = Path(__file__).parent / "zensical.toml"
BUILD: Final = ROOT / "build" / "docs"  # the configuration, the pages and the site are written here

# Documents that stand elsewhere in the repository, with the address of their page.
ELSEWHERE: Final = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "deploy/README.md": "deploy.md",
    "deploy/kafka/README.md": "deploy-kafka.md",
    "tests/README.md": "tests.md",
}
