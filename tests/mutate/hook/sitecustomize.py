"""Found by each Python that a tested mutant starts: imports the module named by the environment with its bug.

`JOURNEYMAN_MUTANT` is the module's name, `JOURNEYMAN_MUTANT_SOURCE` the file with the text that it has instead.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        text = Path(os.environ["JOURNEYMAN_MUTANT_SOURCE"]).read_text(encoding="utf-8")
        return compile(text, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != os.environ["JOURNEYMAN_MUTANT"]:
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path)
        if found is None or found.origin is None:
            return None
        return importlib.util.spec_from_file_location(fullname, loader=_Loader(fullname, found.origin))


if os.environ.get("JOURNEYMAN_MUTANT"):
    sys.meta_path.insert(0, _Finder())
