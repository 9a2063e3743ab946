"""Test several real processes on one log: concurrent appends, SIGKILL, wake-ups."""

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from .. import limits
from ..event import Event
from .suite import PATIENCE_SECONDS, Suite, drafts, history

_KILLS = 6
_COUNTED = 60


@contextmanager
def child(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """Start another process on the log (see `child.py` for its roles), and kill it at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.child", *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def line_from(process: "subprocess.Popen[str]") -> list[str]:
    """Return the words of the process's next line; fail if it ends or prints nothing for too long."""
    assert process.stdout is not None
    alarm = threading.Timer(PATIENCE_SECONDS, process.kill)
    alarm.start()
    try:
        words = process.stdout.readline().split()
    finally:
        alarm.cancel()
    assert words, "the child process ended, or was killed, before it printed the expected line"
    return words


class ProcessConformance(Suite):
    """The guarantees to processes that share a log."""

    def test_concurrent_writers_in_several_processes(self) -> None:
        """All processes see one order: no event is lost or duplicated, appends are contiguous and in writer order."""
        url = self.url(1)
        names = ["writer.a", "writer.b", "writer.c"]
        said = {}
        with ExitStack() as stack:
            processes = [stack.enter_context(child("append", url, name, 40, 3)) for name in names]
            for name, process in zip(names, processes, strict=True):
                assert line_from(process) == ["ready"]
                said[name] = [list(map(int, line_from(process))) for _ in range(40)]
        events = self.drive(self._history(url))
        assert len(events) == 3 * 40 * 3
        for name in names:
            own = [event for event in events if event.name == name]
            assert [event.context["number"] for event in own] == [number for number in range(40) for _ in range(3)]
            for number, _, *offsets in said[name]:
                assert offsets == list(range(offsets[0], offsets[0] + 3)), "an append is contiguous"
                assert [events[offset].context for offset in offsets] == [
                    {"number": number, "part": part} for part in range(3)
                ]

    async def _history(self, url: str) -> list[Event]:
        async with self.opened(url) as log:
            return await history(log)

    def test_counter_of_several_processes_loses_no_step(self) -> None:
        """Each number is appended by exactly one process: the log decides which was first."""
        url = self.url(1)
        said: list[list[str]] = []
        with ExitStack() as stack:
            counting = [stack.enter_context(child("count", url, "visitors", _COUNTED)) for _ in range(3)]
            for process in counting:
                assert line_from(process) == ["ready"]
            for process in counting:
                while (words := line_from(process))[0] != "refused":
                    said.append(words)
        self._check_counter(self.drive(self._history(url)), said)
        assert len(said) == _COUNTED

    def test_counter_survives_sigkill_of_its_writers(self) -> None:
        url = self.url(1)
        generator = random.Random(20_261_130)
        said: list[list[str]] = []
        with child("count", url, "visitors", _COUNTED) as survivor:
            assert line_from(survivor) == ["ready"]
            for _ in range(_KILLS // 2):
                with child("count", url, "visitors", _COUNTED) as victim:
                    assert line_from(victim) == ["ready"]
                    for _ in range(generator.randrange(3)):
                        if (words := line_from(victim))[0] == "refused":
                            break  # the others have counted to the end meanwhile
                        said.append(words)
                    victim.kill()  # at whatever it is doing now
                    assert victim.stdout is not None
                    said += [
                        line.split() for line in victim.stdout if line.endswith("\n") and line.split()[0].isdigit()
                    ]
            while (words := line_from(survivor))[0] != "refused":
                said.append(words)
        self._check_counter(self.drive(self._history(url)), said)

    def _check_counter(self, events: list[Event], said: list[list[str]]) -> None:
        assert [event.context["number"] for event in events] == list(range(1, _COUNTED + 1))
        at = {event.offset: event for event in events}
        for number, _, offset in said:
            assert at[int(offset)].context["number"] == int(number), "acknowledged events are in the log"
        assert len({offset for _, _, offset in said}) == len(said)

    def test_acknowledged_appends_survive_sigkill(self) -> None:
        """A writer killed at any moment leaves all acknowledged appends, and the one in flight whole or not at all."""
        url = self.url(1)
        generator = random.Random(20_261_122)
        for kill in range(_KILLS):
            name = f"writer.n{kill}"
            with child("append", url, name, 1_000_000, 3) as writer:
                assert line_from(writer) == ["ready"]
                said = [line_from(writer) for _ in range(generator.randrange(1, 60))]
                writer.kill()  # at whatever it is doing now
                assert writer.stdout is not None
                said += [line.split() for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
            self._check_survivors(self.drive(self._history(url)), name, [list(map(int, words)) for words in said])
        self.drive(self._one_more(url))

    def _check_survivors(self, events: list[Event], name: str, said: list[list[int]]) -> None:
        at = {event.offset: event for event in events}
        for number, _, *offsets in said:
            for part, offset in enumerate(offsets):
                assert (at[offset].name, at[offset].context) == (name, {"number": number, "part": part})
        own = [event for event in events if event.name == name]
        assert len(own) % 3 == 0, "an append was written partially"
        assert len(said) <= len(own) // 3 <= len(said) + 1, "at most the one append in flight is added"
        assert len({event.seq for event in own}) == len(own), "an event was written twice"

    async def _one_more(self, url: str) -> None:
        async with self.opened(url) as log:
            end = (await log.bounds()).end
            (event,) = await log.append(drafts("thing.made", 1))
            assert event.offset == end[0]

    def test_tail_in_another_process_is_woken(self) -> None:
        url = self.url(1)
        self.drive(self._one_more(url))
        with child("follow", url, 3) as follower:
            assert line_from(follower) == ["waiting"]
            for offset in (1, 2, 3):  # wait for each before the next, so that each needs its own wake-up
                self.drive(self._one_more(url))
                assert line_from(follower) == ["0", str(offset), "thing.made"]

    def test_tail_is_woken_by_another_process(self) -> None:
        url = self.url(1)

        async def test() -> None:
            async with self.opened(url) as log:
                tail = await log.tail((await log.bounds()).end)
                with child("append", url, "thing.made", 5, limits.PAGE_EVENTS) as writer:
                    assert line_from(writer) == ["ready"]
                    got = 0
                    while got < 5 * limits.PAGE_EVENTS:
                        page = await tail.page(timeout=PATIENCE_SECONDS)
                        assert page is not None, "no event came from the other process"
                        got += len(page.rows)
                await tail.aclose()

        self.drive(test())
