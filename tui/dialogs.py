"""The dialogs over the screen: a question before an act, a moment to go to, the keys."""

from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

_CSS: Final = """
{name} {{ align: center middle; background: $background 0%; }}
{name} > Vertical {{
    width: {width}; max-width: 96%; height: auto; max-height: 96%; border: round $foreground; padding: 0 1;
    background: $background; overflow-y: auto;
}}
{name} Input {{ border: none; height: 1; padding: 0; background: $background; text-style: underline; }}
{name} Static {{ height: auto; }}
"""


class Entry(ModalScreen[str | None]):
    """Asks for one line: what is above it says what for. It returns the text after Enter, None after Escape."""

    AUTO_FOCUS = "#entry"
    CSS: ClassVar[str] = _CSS.format(name="Entry", width=70)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+c", "leave", show=False, priority=True)]

    def __init__(self, question: str, about: str, hint: str, placeholder: str) -> None:
        super().__init__()
        self._texts = question, about, hint
        self._placeholder = placeholder

    def compose(self) -> ComposeResult:
        """Lay it out."""
        question, about, hint = self._texts
        with Vertical():
            yield Static(question, markup=False, id="question")
            yield Static(about, markup=False)
            yield Static("")
            yield Input(placeholder=self._placeholder, id="entry")
            yield Static("")
            yield Static(hint, markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return what was entered."""
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        """Return nothing."""
        self.dismiss(None)


class Keys(ModalScreen[None]):
    """Shows the keys."""

    CSS: ClassVar[str] = _CSS.format(name="Keys", width=76)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter,ctrl+c", "leave", show=False)]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical():
            yield Static(self._text, markup=False, id="keys")

    def action_leave(self) -> None:
        """Close it."""
        self.dismiss(None)
