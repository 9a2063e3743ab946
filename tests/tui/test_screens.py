"""What the screen shows of an hour of a shop, on narrow and wide terminals, now and then."""

import pytest
from support.screens import (
    BY,
    Clock,
    append,
    asked,
    matches_snapshot,
    named,
    options,
    says,
    screen_of,
    shop_store,
    shows,
    text_of,
)
from support.shop_hour import BROKEN, NOW, REPORT
from textual.events import Key
from textual.widgets import Input

pytestmark = pytest.mark.anyio
TABS = ("overview", "queues", "tasks", "workers", "dead letters", "requests", "events")
FIRST_TITLES = ("alive", "queue ▲", "attempt", "last sign", "error", "took", "context")


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_tabs_show_the_hour_as_in_their_snapshots(size: tuple[int, int]) -> None:
    async with screen_of(size=size) as (app, pilot):
        for number, (tab, title) in enumerate(zip(TABS, FIRST_TITLES, strict=True), 1):
            await pilot.press(str(number))
            await shows(app, says(title), f"the tab {tab}")
            matches_snapshot(app, f"{tab.replace(' ', '-')}-{size[0]}")


async def test_followed_task_shows_why_and_its_history() -> None:
    async with screen_of() as (app, pilot):
        await pilot.press("5")
        await shows(app, lambda text: "Declined" in text, "the dead letter")
        await pilot.press("enter")
        await shows(app, lambda text: "task.submitted" in text, "its history")
        matches_snapshot(app, "task-80")
        await pilot.press("end")
        await shows(app, lambda text: "gateway.charge(order)" in text, "its traceback")
        await pilot.press("escape")
        await shows(app, lambda text: "attempts" in text, "the list again")


async def test_dead_letters_are_found_by_their_labels() -> None:
    store = await shop_store()
    for tag in ("spring", "autumn"):
        await append(store, "task.submitted", tag, task=tag, task_name="mail", summary="a catalogue", tags=[tag])
        await append(store, "task.rejected", tag, task=tag)
    async with screen_of(store, size=(160, 48)) as (app, pilot):
        await pilot.press("5")
        await shows(app, lambda text: "a catalogue (tags autumn)" in text, "what a dead letter is about")
        await pilot.press("slash", *"catalogue", "space", *"spring", "enter")
        await shows(app, lambda text: "(tags spring)" in text and "(tags autumn)" not in text, "the one with the tag")
        assert "Declined" not in text_of(app)


async def test_followed_task_goes_on_live() -> None:
    store = await shop_store()
    async with screen_of(store) as (app, pilot):
        await pilot.press("3", "slash", *"report", "enter", "enter")
        await shows(app, lambda text: "No live worker knows" in text, "the waiting task")
        await append(store, "task.revoked", REPORT, task=REPORT, by="eve@shop", reason="not needed")
        await shows(app, lambda text: "eve@shop (not needed)" in text, "its revocation")


async def test_keys_go_through_history_and_back_to_the_present() -> None:
    async with screen_of() as (app, pilot):
        assert "live" in text_of(app).splitlines()[0]
        await pilot.press("left_curly_bracket", "left_curly_bracket", "left_square_bracket")
        past = await shows(app, lambda text: "21 min 0 s ago" in text and "1,039 in an hour" in text, "the past")
        assert "PAST  as of 2026-11-21 13:44:00+00:00" in past.splitlines()[0]
        assert "reports" not in past, "its task was submitted later"
        matches_snapshot(app, "past-80")
        await pilot.press("right_square_bracket")
        await shows(app, lambda text: "13:45:00" in text, "a minute later")
        await pilot.press("l")
        await shows(app, lambda text: "live" in text and "reports" in text, "the present")


async def test_past_ends_where_the_history_begins() -> None:
    async with screen_of() as (app, pilot):
        await pilot.press(*["left_curly_bracket"] * 8)
        await shows(app, lambda text: "the history of the journal begins here" in text, "the notice")
        assert "PAST  as of 2026-11-21 13:00:00+00:00" in text_of(app)


async def test_time_that_is_entered_is_shown() -> None:
    async with screen_of() as (app, pilot):
        await pilot.press("t", *"30m", "enter")
        await shows(app, lambda text: "as of 2026-11-21 13:35:00+00:00" in text, "half an hour before")
        await pilot.press("t", *"noon", "enter")
        await shows(app, lambda text: "the time takes" in text, "what a time may be")


async def test_paused_screen_stands_and_goes_on() -> None:
    store, clock = await shop_store(), Clock()
    async with screen_of(store, clock=clock) as (app, pilot):
        await pilot.press("3")
        await shows(app, lambda text: "1 of 7" in text, "seven tasks")
        await pilot.press("p")
        await shows(app, lambda text: "PAUSED" in text.splitlines()[0], "that it is paused")
        await append(store, "task.submitted", "late", task="late", task_name="send", queue="mail", max_retries=0)
        await pilot.press("s")
        await shows(app, lambda text: "id ▲" in text, "another order")
        assert "1 of 7" in text_of(app)
        await pilot.press("p")
        await shows(app, lambda text: "1 of 8" in text, "the eighth task")


async def test_list_is_sorted_and_turned() -> None:
    async with screen_of() as (app, pilot):
        await pilot.press("3", "s", "s")
        text = await shows(app, lambda text: "task ▲" in text, "the order by name")
        assert text.index("shop.charge") < text.index("shop.report") < text.index("shop.thumbnail")
        await pilot.press("S")
        text = await shows(app, lambda text: "task ▼" in text, "the order turned")
        assert text.index("shop.thumbnail") < text.index("shop.report") < text.index("shop.charge")


async def test_list_is_filtered_by_words() -> None:
    async with screen_of() as (app, pilot):
        await pilot.press("3", "slash", *"pictures -ready")
        await shows(app, lambda text: "1 of 5 that fit, of 7" in text, "the five that run")
        await pilot.press("enter")
        assert not app.query_one("#filter", Input).display
        await pilot.press("escape")
        await shows(app, lambda text: "1 of 7" in text, "all of them")


async def test_keys_typed_ahead_reach_the_filter() -> None:
    """As they come from a paste: the next one before the screen has acted on the one before."""
    async with screen_of() as (app, pilot):
        for key in ("3", "slash", *"slept/2"):
            app.post_message(Key({"/": "slash"}.get(key, key), key if len(key) == 1 else "/"))
        await pilot.pause()
        assert app.query_one("#filter", Input).value == "slept/2"
        await shows(app, says("filter: slept/2"), "that words are sought, and neither sort nor the present")


async def test_queue_opens_its_tasks() -> None:
    async with screen_of() as (app, pilot):
        await pilot.press("2")
        await shows(app, lambda text: "queue ▲" in text, "the queues")
        await pilot.press("end", "enter")
        await shows(app, lambda text: "filter: reports" in text and "1 of 1 that fit" in text, "the task of that queue")


async def test_dead_letter_is_requeued_after_a_question() -> None:
    store = await shop_store()
    async with screen_of(store) as (app, pilot):
        await asked(app, pilot, "r")
        matches_snapshot(app, "question-80")
        await pilot.press("escape")
        await shows(app, lambda text: "attempts" in text, "the list again")
        assert await named(store, "task.requeued") == []
        await asked(app, pilot, "r")
        await pilot.press(*"bank is back", "enter")
        await shows(app, lambda text: "…000bad01 requeued" in text, "what became of it")
        await shows(app, lambda text: "\nnone" in text, "that no dead letter is left")
        assert [(each["task"], each["by"], each["reason"]) for each in await named(store, "task.requeued")] == [
            (BROKEN, BY, "bank is back")
        ]


async def test_task_is_revoked_after_a_question() -> None:
    store = await shop_store()
    async with screen_of(store) as (app, pilot):
        await pilot.press("3", "slash", *"report", "enter")
        await shows(app, lambda text: "1 of 1 that fit" in text, "the task")
        await pilot.press("x")
        await shows(app, lambda text: f"Revoke shop.report {REPORT}?" in " ".join(text.split()), "the question")
        await pilot.press("enter")
        await shows(app, lambda text: "…000fee1d revoked" in text, "what became of it")
        [revoked] = await named(store, "task.revoked")
        assert (revoked["by"], revoked.get("reason")) == (BY, None)


async def test_past_and_read_only_screens_change_nothing() -> None:
    store = await shop_store()
    async with screen_of(store, options=options(read_only=True)) as (app, pilot):
        await pilot.press("5")
        await shows(app, lambda text: "Declined" in text, "the dead letter")
        await pilot.press("r")
        await shows(app, lambda text: "it changes nothing" in text, "why not")
        await pilot.press("question_mark")
        await shows(app, lambda text: "quit" in text and "requeue" not in text, "the other keys")
    async with screen_of(store) as (app, pilot):
        await pilot.press("5", "left_square_bracket")
        await shows(app, lambda text: "PAST" in text and "Declined" in text, "the dead letter a minute ago")
        await pilot.press("r")
        await shows(app, lambda text: "the past cannot be changed" in text, "why not")


async def test_keys_are_listed() -> None:
    async with screen_of() as (app, pilot):
        await pilot.press("question_mark")
        await shows(app, lambda text: "requeue a dead letter" in text, "the keys")
        matches_snapshot(app, "keys-80")


async def test_screen_is_laid_out_anew_for_another_size() -> None:
    async with screen_of() as (app, pilot):
        await pilot.resize_terminal(160, 48)
        await shows(app, lambda text: "failures of the hour" in text, "what a larger screen has room for")
        await pilot.resize_terminal(40, 10)
        await shows(app, lambda text: "failures of the hour" not in text, "less")


async def test_clock_ages_what_is_shown() -> None:
    clock = Clock()
    async with screen_of(clock=clock) as (app, pilot):
        await pilot.press("3")
        await shows(app, lambda text: "11 min 40 s" in text, "how long the task is ready")
        clock.at = NOW + 120
        await pilot.press("S", "S")
        await shows(app, lambda text: "13 min 40 s" in text, "two minutes more")
