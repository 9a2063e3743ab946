"""Check the work: every task completed once, with the result of the direct computation."""

from collections.abc import Mapping

from .fold import DemoView
from .source import Facts


def disagreements(paths: Mapping[str, str], view: DemoView, facts: Mapping[str, Facts]) -> list[str]:
    """Return a sentence for each task that was lost, failed, completed more than once, or differs from `facts`.

    `paths` is the file of each task, `facts` the result of the direct computation, by file.
    """
    problems: list[str] = []
    for task, path in paths.items():
        if task in view.failures:
            problems.append(f"{path}: failed: {view.failures[task]}")
        elif task not in view.successes:
            problems.append(f"{path}: lost, there is no result")
        elif view.successes[task] > 1:
            problems.append(f"{path}: completed {view.successes[task]} times")
        elif view.results[task] != facts[path]:
            problems.append(f"{path}: a worker found {view.results[task]}, the direct computation {facts[path]}")
    return problems
