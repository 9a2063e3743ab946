"""The installation of the tutorial without the network: a clone beside the reader's directory, and what pip needs."""

import shutil
import sysconfig
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETUPTOOLS_MIN = 77  # as in `build-system` of pyproject.toml


def clone_into(directory: Path) -> None:
    """Copy the project without what was made in its tree: caches, environments and earlier builds."""
    made = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "site", "*.db*")
    shutil.copytree(ROOT, directory, ignore=made)


def without_network(packages: Path) -> dict[str, str]:
    """Return the environment in which pip takes only what is at hand: the backend of builds, as a wheel."""
    packages.mkdir()
    _setuptools_into(packages)
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": packages.as_uri(), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def show_dependencies(environment: Path) -> None:
    """Let a virtual environment see the packages that are installed here, behind its own."""
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "installed_here.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")


def _setuptools_into(directory: Path) -> None:
    """Pack the installed setuptools into a wheel again: pip builds a project in an environment of its own."""
    found = distribution("setuptools")
    if int(found.version.split(".")[0]) < SETUPTOOLS_MIN:
        pytest.skip(f"setuptools {found.version} is too old to build the project: run `make install`")
    with zipfile.ZipFile(directory / f"setuptools-{found.version}-py3-none-any.whl", "w") as wheel:
        for file in found.files or ():
            path = Path(str(file.locate()))
            if ".." not in file.parts and path.suffix != ".pyc" and path.is_file():
                wheel.write(path, str(file))
