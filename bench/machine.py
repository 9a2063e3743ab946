"""Describe the machine of a run, without anything that names the machine or its owner."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import apsw

_LIBRARIES = ("journeyman", "apsw", "msgspec", "orjson", "aiokafka")


def facts(directory: Path) -> dict[str, Any]:
    """Cores, system, Python, SQLite and library versions, and the kind of file system `directory` is on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "optimised_python": sys.flags.optimize,
        "sqlite": apsw.sqlite_lib_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "file_system": _file_system(directory),
    }


def load_average() -> float:
    """The load of the last minute: well below the number of cores means that no other program disturbed the run."""
    return round(os.getloadavg()[0], 2)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _file_system(directory: Path) -> str:
    """The type of the innermost mount that holds `directory`, where the system reports it."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "unknown"
    place = directory.resolve()
    holding = [(len(target), kind) for _, target, kind, *_ in mounts if place.is_relative_to(target)]
    return max(holding)[1] if holding else "unknown"
