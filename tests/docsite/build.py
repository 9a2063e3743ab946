"""Build the site strictly: a warning of the generator, a broken link and a foreign address are errors."""

import shutil
import subprocess
import sys
from pathlib import Path

from .check import problems
from .stage import stage


class SiteError(Exception):
    """The site has a fault; the text says which page and what is wrong."""


def build(directory: Path) -> Path:
    """Stage and build in `directory`, which is emptied first; return the directory of the site."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    stage(directory)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SiteError(f"the generator refuses the pages:\n{done.stdout}{done.stderr}")
    site = directory / "site"
    if found := problems(site):
        raise SiteError("\n".join(found))
    return site
