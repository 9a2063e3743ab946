"""The facts that the demonstration finds in a source file."""

import ast
import gc
import hashlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from journeyman.demo.source import examine, library_files, library_root

SOURCE = """
class Outer:
    class Inner:
        def method(self):
            async def nested(): pass
            return lambda: None

if True:
    def one(): pass
else:
    try:
        def two(): pass
    except OSError:
        def three(): pass
    finally:
        class Last: pass

match 1:
    case 1:
        def four(): pass
"""


def test_source_counts_definitions_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(SOURCE)
    facts = examine(path)
    assert facts["lines"] == len(SOURCE.splitlines())
    assert (facts["functions"], facts["classes"]) == (6, 3)
    assert facts["sha256"] == hashlib.sha256(SOURCE.encode()).hexdigest()
    assert facts["problems"] == []
    path.write_text("x = 1\n")
    assert examine(path)["tokens"] == 6  # encoding, name, operator, number, newline, end


@pytest.mark.parametrize("name", ["ast.py", "typing.py", "asyncio/base_events.py", "dataclasses.py"])
def test_source_finds_every_definition_of_a_real_file(name: str) -> None:
    nodes = list(ast.walk(ast.parse((library_root() / name).read_bytes())))
    facts = examine(library_root() / name)
    assert facts["functions"] == sum(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in nodes)
    assert facts["classes"] == sum(isinstance(node, ast.ClassDef) for node in nodes)


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        (b"# coding: uft-8\n", ["tokens: SyntaxError", "syntax: SyntaxError"]),
        (b"x = 1\0\n", ["tokens: TokenError", "syntax: SyntaxError"][sys.version_info < (3, 12) :]),
        (b"\xff\xfe\n", ["tokens: SyntaxError", "syntax: SyntaxError"]),
        (b"print 'two'\n", ["syntax: SyntaxError"]),
        (b"(\n", ["tokens: TokenError", "syntax: SyntaxError"]),
    ],
)
def test_source_names_problems_of_a_file(tmp_path: Path, data: bytes, problems: list[str]) -> None:
    path = tmp_path / "bad.py"
    path.write_bytes(data)
    facts = examine(path)
    assert [problem.split(":")[0] for problem in facts["problems"]] == [each.split(":")[0] for each in problems]
    assert facts["sha256"] == hashlib.sha256(data).hexdigest()
    assert examine(path) == facts


def test_unreadable_file_is_a_problem_and_not_an_error(tmp_path: Path) -> None:
    assert examine(tmp_path / "gone.py") == {"problems": ["FileNotFoundError"]}
    assert examine(tmp_path) == {"problems": ["IsADirectoryError"]}


def test_source_lists_the_library_alone(tmp_path: Path) -> None:
    files = library_files(library_root())
    assert {"ast.py", "json/decoder.py"} <= set(files)
    assert len(files) > 500
    assert not [name for name in files if "site-packages" in name]
    assert files == sorted(files)


def test_files_are_examined_by_several_threads_at_a_time() -> None:
    """A collection lets another thread run, as one that ends a generator or calls a weak reference's callback does."""

    def give_way(_: str, __: dict[str, Any]) -> None:
        time.sleep(0)

    threshold = gc.get_threshold()
    gc.callbacks.append(give_way)
    gc.set_threshold(50)
    try:
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(examine, [library_root() / "heapq.py"] * 16))
    finally:
        gc.callbacks.remove(give_way)
        gc.set_threshold(*threshold)
    assert found == [found[0]] * 16
    assert found[0]["functions"]
