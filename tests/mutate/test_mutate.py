"""Planting bugs: each is one change of a module's text, and the tests that concern the module notice it."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from . import __main__ as command
from .concern import CONCERNS, modules_of
from .judge import ROOT, TESTS, accepted, judge, module_name, noticed_by
from .mutants import mutants_of, planted
from .swap import NotSwappedError, Swaps, statement

# Of these rules one bug each, since their tests are quick: a sample of twenty drawn by chance takes minutes.
SAMPLE = ("workers/scheduling/delayed.py", "workers/scheduling/round_robin.py")
TEXT = """
def work(a, b):
    if a < b and not b:
        a += 1
        raise ValueError
    return min(a, b - 1)
"""


def test_mutant_is_one_change_of_the_module(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(TEXT, encoding="utf-8")
    mutants = mutants_of(path, tmp_path)
    texts = [planted(mutant, tmp_path) for mutant in mutants]
    assert len(set(texts)) == len(texts)
    assert ast.unparse(ast.parse(TEXT)) not in texts
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    changes = {mutant.name.removeprefix("module.py: work: ") for mutant in mutants}
    assert {
        "a < b -> a <= b", "a < b and (not b) -> a < b or not b", "a < b and (not b) -> a < b", "not b -> b",
        "a += 1 -> pass", "raise ValueError -> pass", "b - 1 -> b + 1", "min(a, b - 1) -> max(a, b - 1)", "1 -> 2",
    } <= changes  # fmt: skip


def test_modules_all_have_tests_that_concern_them() -> None:
    for concern in CONCERNS:
        assert modules_of(concern, ROOT), concern.modules
        assert all((TESTS / test).exists() for test in concern.tests), concern.tests


def test_accepted_bugs_can_all_be_planted() -> None:
    paths = {name.partition(":")[0] for name in accepted()}
    known = {mutant.name for path in paths for mutant in mutants_of(ROOT / path, ROOT)}
    assert accepted().keys() <= known
    assert all(accepted().values()), "each with its reason"


@pytest.mark.parametrize("path", SAMPLE)
def test_bug_planted_in_a_rule_is_noticed(path: str) -> None:
    mutants = command.all_mutants(path)
    mutant, concern = mutants[len(mutants) // 2]
    assert module_name(mutant.path).startswith("journeyman.")
    assert judge(mutant, concern).noticed_by, mutant.name


@pytest.mark.parametrize(
    ("status", "said", "noticed"),
    [
        (0, "..\n2 passed in 0.52s\n", ""),
        (0, "..\n1 passed, 1 skipped, 3 deselected in 61.20s (0:01:01)\n", ""),
        (0, "..", "pytest ended with 0"),
        (1, "..F\nFAILED tests/test_a.py::test_b - assert 0\n1 failed, 2 passed in 0.52s\n", "tests/test_a.py::test_b"),
        (2, "ERROR tests/test_a.py\n", "tests/test_a.py"),
        (-9, "..", "pytest ended with -9"),
    ],
)
def test_bug_that_ends_pytest_is_noticed(status: int, said: str, noticed: str) -> None:
    assert noticed_by(status, said) == noticed


# -- the quick way ---------------------------------------------------------------------------------------------------

SWAPPED = """
class Sum:
    SHIFT = max(1, 2)

    @property
    def total(self):
        return 0

    @total.setter
    def total(self, value):
        self.value = [value + each for each in range(3)]


def outer():
    def inner():
        return 10
    return inner()
"""


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("swapped", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def planted_in(path: Path, change: str) -> None:
    (mutant,) = (each for each in mutants_of(path, path.parent) if each.name.endswith(f": {change}"))
    Swaps(path.parent).plant(mutant)


def test_running_function_gets_the_mutated_code(tmp_path: Path) -> None:
    path = tmp_path / "swapped.py"
    path.write_text(SWAPPED, encoding="utf-8")
    module = imported(path)
    total, outer = module.Sum(), module.outer
    planted_in(path, "value + each -> value - each")
    planted_in(path, "10 -> 11")
    total.total = 5
    assert (total.value, total.total, outer()) == ([5, 4, 3], 0, 11)
    with pytest.raises(NotSwappedError):
        planted_in(path, "max(1, 2) -> min(1, 2)")


def test_statement_with_a_body_is_its_head() -> None:
    tree = ast.parse(TEXT)
    assert [statement(tree, line) for line in (2, 3, 5)] == [range(2, 3), range(3, 4), range(5, 6)]


QUICK = """
from mutate.__main__ import all_mutants
from mutate.concern import Concern
from mutate.warm import Way, verdicts

mutants = [mutant for mutant, _ in all_mutants("workers/scheduling/round_robin.py")]
for _, verdict in verdicts(mutants[:5], Concern("", ("workers/test_delayed.py", "tasks/test_selection.py")), Way(1)):
    print(verdict.noticed_by)
"""


def test_fork_runs_the_tests_that_reach_the_bug() -> None:
    command = [sys.executable, "-c", QUICK]
    ran = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=True)
    assert [line.partition("::")[0] for line in ran.stdout.splitlines()] == ["tests/tasks/test_selection.py"] * 5
