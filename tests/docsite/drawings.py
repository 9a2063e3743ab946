"""The drawings, made from the tables in the code: `python -m docsite.drawings` writes them anew."""

import tomllib
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from journeyman.tasks.state.transitions import FINAL_STATES, TRANSITIONS, State

from . import lives
from .paths import DOCS, ROOT
from .svg import LINE_HEIGHT, Box, Point, arrow, drawing, lines, rectangle, straight, text

IMAGES: Final = DOCS / "images"

_PLACES: Final = {
    State.UNKNOWN: Point(100, 250),
    State.READY: Point(370, 250),
    State.CLAIMED: Point(840, 250),
    State.SUCCEEDED: Point(605, 60),
    State.FAILED: Point(840, 530),
    State.REVOKED: Point(370, 530),
}
# How far an arrow bends to its left, in pixels, and where along it its label stands.
_BENDS: Final = {
    (State.READY, State.CLAIMED): (35, 0.5),
    (State.CLAIMED, State.READY): (35, 0.5),
    (State.READY, State.FAILED): (30, 0.8),
    (State.FAILED, State.READY): (30, 0.25),
    (State.CLAIMED, State.REVOKED): (0, 0.8),
}


def task_states() -> str:
    """The states of a task and the events that move it, from `TRANSITIONS`."""
    boxes = {state: Box(place, 130, 46) for state, place in _PLACES.items()}
    between: dict[tuple[State, State], list[str]] = defaultdict(list)
    staying: dict[State, list[str]] = defaultdict(list)
    for state, moves in TRANSITIONS.items():
        for event, move in moves.items():
            if move.to is state:
                staying[state].append(event.removeprefix("task."))
            else:
                between[state, move.to].append(event.removeprefix("task."))
    parts: list[str] = []
    labels: list[str] = []
    for (start, end), events in between.items():
        bend, along = _BENDS.get((start, end), (0, 0.5))
        line, place = arrow(boxes[start], boxes[end], bend, along)
        parts.append(line)
        labels += lines(place, events, "mono halo")
    for state, box in boxes.items():
        parts.append(rectangle(box, "end" if state in FINAL_STATES else "box"))
        parts.append(text(Point(box.centre.x, box.centre.y + 5), state.name, "name"))
        if staying[state]:
            below = Point(box.centre.x, box.centre.y + 40)
            labels.append(text(below, "stays: " + ", ".join(staying[state]), "small halo"))
    note = (
        "An event moves a task along its arrow; any other event is refused and changes nothing. Grey states are ends."
    )
    labels.append(text(Point(24, 600), note, "small left"))
    return drawing(1000, 620, "The states of a task and the events between them", [*parts, *labels])


def rooms() -> str:
    """The rooms of the package from top to bottom, with those inside each, from the import contracts."""
    parts: list[str] = []
    top = 20.0
    layers = _contracts()["journeyman"]
    for number, names in enumerate(layers):
        width = (960 - 20 * (len(names) - 1)) / len(names)
        inside = [_wrapped(_inside(name), int(width / 7)) for name in names]
        height = 40 + LINE_HEIGHT * max(len(each) for each in inside)
        for column, (name, words) in enumerate(zip(names, inside, strict=True)):
            x = 20 + width / 2 + column * (width + 20)
            parts.append(rectangle(Box(Point(x, top + height / 2), width, height), "room"))
            parts.append(text(Point(x, top + 24), f"{name}/", "name"))
            parts += [text(Point(x, top + 44 + LINE_HEIGHT * row), line, "small") for row, line in enumerate(words)]
        top += height
        if number + 1 < len(layers):
            parts.append(straight(Point(500, top), Point(500, top + 22)))
        top += 24
    note = "A room imports only what stands below it; of two rooms side by side neither imports the other."
    parts.append(text(Point(500, top + 2), note, "small"))
    return drawing(1000, int(top + 16), "The rooms of the package and the direction of their imports", parts)


def _contracts() -> dict[str, list[list[str]]]:
    """The layers of each package from top to bottom, by the import contracts; each the names side by side in it."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    found: dict[str, list[list[str]]] = {}
    for contract in declared:
        if contract["type"] != "layers":
            continue
        for package in contract.get("containers", ["journeyman"]):
            layers = [[name.strip() for name in layer.replace(":", "|").split("|")] for layer in contract["layers"]]
            found[package] = [[name.removeprefix("journeyman.") for name in names] for names in layers]
    return found


def _inside(name: str) -> list[str]:
    """The packages inside a room, from top to bottom by its contract."""
    listed = [part for layer in _contracts().get(f"journeyman.{name}", []) for part in layer]
    folders = sorted(path.parent.name for path in (ROOT / name).glob("*/__init__.py"))
    return [part for part in listed if part in folders] + [part for part in folders if part not in listed]


def _wrapped(words: list[str], chars: int) -> list[str]:
    """The words in lines of at most `chars` characters, where one word is no longer than that."""
    found: list[str] = []
    for word in words:
        if found and len(found[-1]) + len(word) + 3 <= chars:
            found[-1] += f" · {word}"
        else:
            found.append(word)
    return found


def life_of_an_event() -> str:
    """The steps from an append to the reader, each with its function."""
    return _life(lives.EVENT, "The life of an event, from an append to its reader")


def life_of_a_task() -> str:
    """The steps from a submission to its result, each with its function."""
    return _life(lives.TASK, "The life of a task, from its submission to its result")


def _life(steps: Sequence[lives.Step], title: str) -> str:
    """Steps from top to bottom: who takes each, what it is, and its module and function."""
    parts: list[str] = []
    for number, step in enumerate(steps):
        y = 34 + number * 44
        box = Box(Point(330, y), 320, 30)
        parts.append(rectangle(box, "box"))
        parts.append(text(Point(330, y + 5), step.what))
        if number == 0 or steps[number - 1].actor != step.actor:
            parts.append(text(Point(20, y + 5), step.actor, "name left"))
        parts.append(text(Point(510, y + 5), f"{step.module}  {step.function}", "mono left"))
        if number:
            parts.append(straight(Point(330, y - 29), Point(330, y - 15)))
    return drawing(1000, len(steps) * 44 + 24, title, parts)


DRAWINGS: Final = {
    "task-states": task_states,
    "rooms": rooms,
    "life-of-an-event": life_of_an_event,
    "life-of-a-task": life_of_a_task,
}


if __name__ == "__main__":
    for each, made in DRAWINGS.items():
        (IMAGES / f"{each}.svg").write_text(made(), encoding="utf-8")
