"""The terminal screen, a Textual app: it turns keys into questions, and draws the frames that answer them."""

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Final, NamedTuple

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.theme import BUILTIN_THEMES
from textual.widgets import Input

from ..consumers.moments import parse_moment
from ..journal.async_journal import AsyncJournal
from . import acts
from .cells import Cell, Tone
from .dialogs import Entry, Keys
from .drawing import ListingView, OneLine, Page
from .heading import count_line, standing_line, tab_line
from .keys import BINDINGS, hints, keys
from .limits import NOTICE_SECONDS
from .lists import dead_letters, events, queues, requests, tasks, workers
from .overview import overview_page
from .question import Frame, Question, Tab
from .reader import Reader
from .task_page import task_page

_TABS: Final = list(Tab)
_SORTS: Final = {
    Tab.OVERVIEW: 0,
    Tab.QUEUES: queues.SORTS,
    Tab.TASKS: tasks.SORTS,
    Tab.WORKERS: workers.SORTS,
    Tab.DEAD: dead_letters.SORTS,
    Tab.REQUESTS: requests.SORTS,
    Tab.EVENTS: events.SORTS,
}


def themes() -> list[str]:
    """Return the names of the themes."""
    return sorted(BUILTIN_THEMES)


class Options(NamedTuple):
    """How the screen is to be: the person who acts (`by`), whether it acts at all, its theme, its first moment."""

    by: str
    read_only: bool = False
    theme: str = "ansi-dark"
    moment: float | None = None


class TopApp(App[Exception | None]):
    """The screen of one journal. Its result is the error that ended it, or None."""

    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None
    CSS: ClassVar[str] = """
    Screen { background: $background; color: $foreground; }
    #filter { border: none; height: 1; padding: 0; background: $background; }
    #titles, #count, #list { display: none; }
    .listing #titles, .listing #count, .listing #list { display: block; }
    .listing #page { display: none; }
    ScrollView { background: $background; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    """
    BINDINGS: ClassVar[list[BindingType]] = BINDINGS

    class FrameReady(Message):
        """The reader has made another frame."""

    class Told(Message):
        """The reader, or a library, says something."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(
        self, url: str, open_journal: Callable[[], AsyncJournal], options: Options, clock: Callable[[], float]
    ) -> None:
        # Without colours the terminal's own are the only choice: other themes would be shades of grey.
        theme = BUILTIN_THEMES["ansi-dark" if "NO_COLOR" in os.environ else options.theme]
        super().__init__(ansi_color=theme.ansi)
        self.frame: Frame | None = None  # the newest one
        self.asked = Question(moment=options.moment)
        self.failure: Exception | None = None  # a defect of the screen
        self._url = url
        self._options = options
        self._clock = clock
        self._notice = ""
        self._seen: Frame | None = None  # the newest one that answers what is asked
        self._tabs = {tab: Question(tab) for tab in Tab}
        self._reader = Reader(open_journal, self._receive, self._fail, clock)
        self.theme = theme.name
        self.title = "journeyman top"

    def _handle_exception(self, error: Exception) -> None:
        """Leave the terminal as it was, and let the caller report the error; a test sees it where it comes from."""
        if self.is_headless:
            super()._handle_exception(error)
        else:
            self.failure = self.failure or error
            self.exit(error, 1)

    # -- the parts of the screen -------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield OneLine("standing")
        yield OneLine("tabs")
        with Vertical(id="content"):
            yield OneLine("titles")
            yield Page("page")
            yield ListingView("list")
        yield OneLine("count")
        field = Input(placeholder="words to find, -word to leave out", id="filter")
        field.display = field.cursor_blink = False
        yield field
        yield OneLine("hints")

    def on_mount(self) -> None:
        """Start to read."""
        if not self.is_headless:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, self.exit)
        self._reader.start()
        self._ask(self.asked)
        self.query_one(Page).focus()

    def on_unmount(self) -> None:
        """Read no more."""
        self._reader.stop()

    # -- questions ---------------------------------------------------------------------------------------------------

    def _ask(self, question: Question) -> None:
        first, rows = self.query_one(ListingView).seen()
        self.asked = question._replace(first=first, rows=rows)
        self._reader.ask(self.asked)
        self._draw_lines()

    def _change(self, question: Question) -> None:
        """Ask about something else: the list begins anew."""
        self.query_one(ListingView).forget()
        self._ask(question)
        self._draw()

    def on_listing_view_wanted(self) -> None:
        """Ask for the rows that are seen now."""
        if self.query_one(ListingView).seen() != (self.asked.first, self.asked.rows):
            self._ask(self.asked)

    def on_listing_view_moved(self) -> None:
        """Say where the cursor is."""
        self._draw_lines()

    def on_page_resized(self) -> None:
        """Draw for another size."""
        self._draw()

    # -- frames ------------------------------------------------------------------------------------------------------

    def _receive(self, frame: Frame) -> None:
        """Take a frame, in the reader's thread."""
        self.frame = frame
        self.post_message(self.FrameReady())

    def _fail(self, error: Exception) -> None:
        """End with an error of the reader, in its thread."""
        self.call_from_thread(self.exit, error, 1)

    def on_top_app_frame_ready(self) -> None:
        """Draw the newest frame."""
        self._draw()

    def on_top_app_told(self, message: Told) -> None:
        """Show what was said for a while, in place of the hints."""
        self._notice = message.text
        self._draw_lines()
        self.set_timer(NOTICE_SECONDS, partial(self._end_notice, message.text))

    def _end_notice(self, text: str) -> None:
        if self._notice == text:
            self._notice = ""
            self._draw_lines()

    def tell(self, text: str) -> None:
        """Show a sentence for a while; for any thread."""
        self.post_message(self.Told(text))

    def _draw(self) -> None:
        """Draw all that the newest frame answers; what it does not answer stays as it was."""
        if self.screen is not self.screen_stack[0] or not self.is_mounted(self.query_one(Page)):
            return
        frame, asked = self.frame, self.asked
        listed = asked.tab is not Tab.OVERVIEW and not asked.task
        self.screen_stack[0].set_class(listed, "listing")
        if frame is not None and frame.answers(asked):
            self._seen = frame
            page, listing = self.query_one(Page), self.query_one(ListingView)
            width, height = self.size.width - 1, page.size.height or self.size.height - 3
            if frame.followed is not None:
                page.show(task_page(frame.followed, width))
            elif frame.listing is not None:
                listing.show(frame.listing)
            elif frame.summary is not None:
                page.show(overview_page(frame.summary, width, height))
        self._draw_lines()

    def _draw_lines(self) -> None:
        """Draw the single lines around the content."""
        width, asked = self.size.width, self.asked
        self.query_one("#standing", OneLine).show(standing_line(self._url, self.frame, asked, self._clock(), width))
        self.query_one("#tabs", OneLine).show(tab_line(asked, width))
        listing = self._seen.listing if self._seen is not None and self._seen.answers(asked) else None
        self.query_one("#titles", OneLine).show((Cell(self.query_one(ListingView).titles(), Tone.DIM),))
        self.query_one("#count", OneLine).show(count_line(listing, self.query_one(ListingView).cursor, asked, width))
        self.query_one("#hints", OneLine).show((self._hint(),))

    def _hint(self) -> Cell:
        trouble = self.frame.trouble if self.frame is not None else ""
        if trouble:
            return Cell(f"! {' '.join(trouble.split())}", Tone.BAD)
        if self._notice:
            return Cell(self._notice, Tone.STRONG)
        return Cell(hints(read_only=self._options.read_only), Tone.DIM)

    # -- keys: what is seen ------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave to a field and to a dialog the characters that are keys elsewhere."""
        takes_text = isinstance(self.focused, Input) or len(self.screen_stack) > 1
        return not (takes_text and action in ("filter", "tab")) and super().check_action(action, parameters)

    def action_leave(self) -> None:
        """End."""
        self.exit()

    def action_tab(self, number: int) -> None:
        """Show a tab."""
        tab, asked = _TABS[number], self.asked
        self._tabs[asked.tab] = asked
        kept = self._tabs[tab]
        self.query_one("#filter", Input).display = False
        self._change(kept._replace(moment=asked.moment, paused=asked.paused, task=""))
        self.query_one(Page if tab is Tab.OVERVIEW else ListingView).focus()

    def action_next_tab(self, by: int) -> None:
        """Show the next tab, or the one before."""
        self.action_tab((_TABS.index(self.asked.tab) + by) % len(_TABS))

    def action_sort(self) -> None:
        """Sort by the next column, or by none."""
        sorts = _SORTS[self.asked.tab]
        if sorts and not self.asked.task:
            following = self.asked.sort + 1
            self._change(self.asked._replace(sort=following if following < sorts else -1))

    def action_turn(self) -> None:
        """Turn the order."""
        if self.asked.tab is not Tab.OVERVIEW and not self.asked.task:
            self._change(self.asked._replace(descending=not self.asked.descending))

    def action_pause(self) -> None:
        """Stop the screen at this moment, or go on."""
        if self.asked.moment is None:
            self._ask(self.asked._replace(paused=not self.asked.paused))

    def action_filter(self) -> None:
        """Enter the words of the filter."""
        if self.asked.tab is Tab.OVERVIEW or self.asked.task:
            self.tell("the filter is for lists: choose a tab from 2 on")
            return
        field = self.query_one("#filter", Input)
        field.display = True
        field.value = self.asked.words
        self.set_focus(field)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter by what is entered."""
        if event.input.id == "filter" and event.value != self.asked.words:
            self._change(self.asked._replace(words=event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter and go back to the list."""
        if event.input.id == "filter":
            event.input.display = False
            self.query_one(ListingView).focus()

    async def action_back(self) -> None:
        """Close what is open: the filter, else the task that is followed."""
        field = self.query_one("#filter", Input)
        if field.display or (self.asked.words and not self.asked.task):
            field.value = ""
            field.display = False
            self._change(self.asked._replace(words=""))
            self.query_one(ListingView).focus()
        elif self.asked.task:
            self._ask(self.asked._replace(task=""))
            self._draw()
            self.query_one(Page if self.asked.tab is Tab.OVERVIEW else ListingView).focus()

    def action_keys(self) -> None:
        """Show the keys."""
        self.push_screen(Keys(keys(read_only=self._options.read_only)))

    def on_listing_view_opened(self) -> None:
        """Follow the task of the chosen row; of a queue, show its tasks."""
        row = self.query_one(ListingView).chosen
        if row is None:
            return
        if row.task:
            page = self.query_one(Page)
            page.show(())
            page.scroll_to(y=0, animate=False)
            self._ask(self.asked._replace(task=row.task))
            self._draw()
            page.focus()
        elif self.asked.tab is Tab.QUEUES:
            self._tabs[Tab.TASKS] = Question(Tab.TASKS, words=row.key)
            self.action_tab(_TABS.index(Tab.TASKS))

    # -- keys: when --------------------------------------------------------------------------------------------------

    def action_step(self, seconds: float) -> None:
        """Go so many seconds on in time, or back."""
        now = self._clock()
        moment = (now if self.asked.moment is None else self.asked.moment) + seconds
        begun = self._seen.begun if self._seen is not None else None
        if begun is not None and moment < begun:
            moment = min(begun, now)
            self.tell("the history of the journal begins here")
        self._go_to(moment)

    def action_live(self) -> None:
        """Show the present."""
        self._ask(self.asked._replace(moment=None, paused=False))

    def action_go_to(self) -> None:
        """Ask for a time and go there."""
        hint = "Enter: go there   Esc: stay"
        self.push_screen(Entry("Show everything as of which time?", "", hint, "14:05, 10m, 2026-11-21T14:05"), self._go)

    def _go(self, entered: str | None) -> None:
        if not entered:
            return
        try:
            self._go_to(parse_moment(entered, "the time", self._clock()))
        except ValueError as error:
            self.tell(str(error))

    def _go_to(self, moment: float) -> None:
        present = moment >= self._clock()
        self._ask(self.asked._replace(moment=None if present else moment, paused=False))

    # -- keys: acts --------------------------------------------------------------------------------------------------

    def action_requeue(self) -> None:
        """Requeue the dead letter at the cursor, or that is followed, after a question."""
        self._offer(acts.REQUEUE)

    def action_revoke(self) -> None:
        """Revoke the task at the cursor, or that is followed, after a question."""
        self._offer(acts.REVOKE)

    def _offer(self, act: acts.TaskAct) -> None:
        task, name = self._subject()
        if self._options.read_only:
            self.tell("this screen was started with --read-only: it changes nothing")
        elif self.asked.moment is not None:
            self.tell("the past cannot be changed: l shows the present")
        elif not task:
            self.tell(f"to {act.verb.lower()}, move the cursor to a task")
        else:
            about = f"{act.effect}\nIt is recorded as done by {self._options.by}."
            entry = Entry(
                acts.question(act, task, name), about, "Enter: do it   Esc: leave it", "the reason, if you like"
            )
            self.push_screen(entry, partial(self._act, act, task))

    def _subject(self) -> tuple[str, str]:
        """Return the id and the name of the task that is meant."""
        followed = self._seen.followed if self._seen is not None else None
        if self.asked.task:
            return self.asked.task, followed.name if followed is not None else ""
        row = self.query_one(ListingView).chosen if self.asked.tab is not Tab.OVERVIEW else None
        return (row.task, row.name) if row is not None else ("", "")

    def _act(self, act: acts.TaskAct, task: str, reason: str | None) -> None:
        if reason is not None:
            by = self._options.by
            self._reader.act(lambda broker: acts.perform(broker, act, task, by, reason or None), self.tell)
