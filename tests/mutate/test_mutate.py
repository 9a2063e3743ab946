"""Planting bugs: each is one change of a module's text, and the tests that concern the module notice it."""

import ast
from pathlib import Path

import pytest

from . import __main__ as command
from .concern import CONCERNS, modules_of
from .judge import ROOT, TESTS, accepted, judge, module_name
from .mutants import mutants_of, planted

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
