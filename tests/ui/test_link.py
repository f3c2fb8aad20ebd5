"""The link without a terminal: a screen that writes down what it is told, and a clock that is set."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from ibtui.core.information import Binning
from ibtui.recording import Recording
from ibtui.run.client import Client
from ibtui.run.job import DeadRun
from ibtui.run.mirror import Lost
from ibtui.run.protocol import Detach, Frame, Pause, Rebin, Restart, Resume, Save, SetPace, Step, Stop
from ibtui.ui.link import SILENT_S, Link, unseen
from tests.ui.standin import FakeWorkers, StandIn


class Screen:
    """Hears at once what clients bring, and writes down what the link tells."""

    def __init__(self, client: StandIn, **made: Any) -> None:
        self.now = 0.0
        self.row: int | None = None
        self.told: list[str] = []
        self.alarms = self.restarts = 0
        self.timers: list[Callable[[], None]] = []
        self.asked: list[tuple[str, str, Callable[[str], None]]] = []
        self.link = Link(client, self, FakeWorkers(**made), clock=lambda: self.now)
        self.link.start()

    def forward(self, client: Client, news: Frame | Lost) -> None:
        self.link.hear(client, news)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.timers.append(call)

    def draw(self) -> None:
        pass

    def sent(self) -> None:
        pass

    def restarted(self) -> None:
        self.row = None
        self.restarts += 1

    def tell(self, text: str, severity: str = "information") -> None:
        self.told.append(text)

    def bell(self) -> None:
        self.alarms += 1

    def ask_for_place(self, trouble: str, suggestion: str, answer: Callable[[str], None]) -> None:
        self.asked.append((trouble, suggestion, answer))

    def frame(self) -> Link:
        """Have a frame come."""
        self.link.pull()
        return self.link

    def pass_time(self) -> None:
        """Have all come about that was to be done later."""
        calls, self.timers = self.timers, []
        for call in calls:
            call()


def started(client: StandIn | None = None, **made: Any) -> tuple[Screen, Link, StandIn]:
    """A screen that has had its first frame."""
    client = client or StandIn()
    screen = Screen(client, **made)
    return screen, screen.frame(), client


def dead(**options: Any) -> StandIn:
    """A worker that holds the history of one that has gone."""
    return StandIn(**{"trains": False, "state": "dead"} | options)


# Frames and commands.


def test_a_link_is_starting_until_the_first_frame_and_connected_from_then_on() -> None:
    screen = Screen(StandIn(answering=False))
    assert screen.link.state.worker == "starting" and screen.link.state.of_run(None) == "starting"
    screen.link.pull()
    assert not screen.link.ready
    screen.link.client.answer()  # type: ignore[attr-defined]
    assert screen.link.state.worker == "connected" and screen.link.ready


def test_no_frame_is_asked_for_while_one_is_owed_or_the_worker_is_lost() -> None:
    _screen, link, client = started(StandIn(answering=True))
    client.answering = False
    asked = len(client.pulls)
    for _ in range(3):
        link.pull()
    assert len(client.pulls) == asked + 1
    client.lose()
    link.pull()
    assert len(client.pulls) == asked + 1 and not link.ready


def test_what_was_asked_for_is_pending_until_a_frame_confirms_it() -> None:
    screen, link, client = started()
    client.obeying = client.answering = False
    link.pull()
    before = client.status
    for command in (Rebin(Binning(t_bins=70)), SetPace(5.0), Pause()):
        assert link.send(command)
    client.status = before
    client.answer()  # from before it was asked
    assert (link.state.pausing, link.state.binning, link.state.pace) == (True, Binning(t_bins=70), 5.0)
    assert link.state.of_run(link.mirror.status) == "pausing"
    for command in client.commands:
        client.obey(command)
    client.answering = True
    screen.frame()
    assert (link.state.pausing, link.state.binning, link.state.pace) == (False, None, None)
    assert link.state.of_run(link.mirror.status) == "paused"


def test_what_was_refused_is_not_pending_for_ever() -> None:
    screen, link, client = started()
    client.obeying = False
    before = client.status
    for command in (Rebin(Binning(t_bins=10**9)), Pause()):
        assert link.send(command)
    assert (link.state.pausing, link.state.binning) == (True, Binning(t_bins=10**9))
    client.status = before
    screen.frame()
    assert (link.state.pausing, link.state.binning) == (False, None)
    assert link.state.of_run(link.mirror.status) == "running"


def test_a_worker_that_owes_an_answer_for_long_is_silent_until_it_comes() -> None:
    screen, link, client = started()
    client.answering = False
    link.pull()
    screen.now = SILENT_S - 0.5
    link.listen()
    assert link.state.silent == 0
    screen.now = 7.2
    link.listen()
    assert link.state.silent == 7
    client.answer()
    assert link.state.silent == 0


def test_a_measurement_of_the_run_before_a_restart_is_not_looked_at() -> None:
    screen, link, client = started()
    screen.row = 7
    client.send(Restart(None))  # by another screen
    screen.frame()
    assert screen.row is None and link.mirror.run == 1


# The worker goes.


def test_a_lost_worker_is_told_once_with_the_end_of_its_log_and_forgets_what_was_asked() -> None:
    screen, link, client = started(hold=lambda *_: dead(answering=False))
    link.send(Rebin(Binning(t_bins=70)))
    client.lose(log=("2000 epochs, a measurement every 10", "out of memory"))
    assert link.state.lost and screen.alarms == 1
    assert (link.state.pausing, link.state.binning, link.state.silent) == (False, None, 0)
    assert list(link.mirror.log)[-2:] == ["2000 epochs, a measurement every 10", "out of memory"]
    assert list(link.mirror.log).count("2000 epochs, a measurement every 10") == 1


def test_a_client_that_cannot_be_started_is_a_lost_worker() -> None:
    class Broken(StandIn):
        def start(self, arrived: Any) -> None:
            raise OSError("no such file")

    screen = Screen(Broken(answering=False))
    assert screen.link.state.lost and screen.link.mirror.died is not None
    assert screen.link.mirror.died.reason == "the worker cannot be started: no such file"


def test_the_history_of_a_worker_that_has_gone_is_handed_to_a_new_one() -> None:
    second = dead(answering=False)
    handed: list[Any] = []

    def hold(*given: Any) -> StandIn:
        handed.extend(given)
        return second

    screen, link, client = started(hold=hold)
    recording = link.mirror.recording
    client.lose()
    assert (link.state.worker, link.state.handover) == ("lost", "holding")
    assert handed == [recording, DeadRun(500, saved=False)]
    second.unready = {"state": "starting", "message": "reading"}
    second.answer()  # it has not read it yet
    assert link.client is client and link.mirror.recording is recording
    screen.pass_time()
    second.unready = {}
    second.answer()
    assert (link.state.worker, link.state.handover) == ("connected", "")
    assert link.client is second and link.state.of_run(link.mirror.status) == "dead"
    assert link.mirror.died is not None and link.mirror.died.reason == "the worker was killed by SIGKILL"


def test_of_a_recording_that_is_played_no_worker_holds_what_its_file_has() -> None:
    screen, link, client = started(StandIn(plays=True, trains=False, state="paused"))
    client.lose()
    assert (link.state.worker, link.state.handover) == ("lost", "")
    link.go_on()
    assert screen.told == ["this run cannot be continued from here"]


def test_who_holds_a_history_rebins_and_saves_it_and_does_nothing_else() -> None:
    screen, link, client = started(hold=lambda *_: dead())
    client.lose()
    held = link.client
    assert held is not client
    assert all(link.send(command) for command in (Rebin(Binning(t_bins=70)), Save()))
    for command in (Pause(), Resume(), Step(1), Restart(None), SetPace(1.0), Detach()):
        assert not link.send(command)
    assert set(screen.told) == {"the worker has died: c continues from the last checkpoint"}


def test_a_history_is_handed_over_once() -> None:
    second, asked = dead(), []

    def hold(*_: Any) -> StandIn:
        asked.append(second)
        return second

    screen, link, client = started(hold=hold)
    client.lose()
    second.lose("the worker was killed by SIGBUS")
    assert link.state.lost and link.state.handover == "" and len(asked) == 1
    assert any("SIGBUS" in text for text in screen.told)
    assert link.mirror.died is not None and "SIGKILL" in link.mirror.died.reason  # the first cause


# A new worker goes on.


def test_continuing_replaces_the_worker_that_was_about_to_hold_the_history() -> None:
    second, third = dead(answering=False), StandIn(epochs=300, answering=False)
    screen, link, client = started(hold=lambda *_: second, go_on=lambda _: third)
    client.lose()
    link.go_on()
    assert (link.state.handover, link.state.progress) == ("continuing", "starting")
    assert second.commands == [Stop(save=False)]
    second.answer()  # too late
    assert link.client is client
    link.go_on()  # is under way already
    third.unready = {"state": "starting", "message": "loading the engine"}
    third.answer()
    assert link.state.progress == "loading the engine"
    screen.pass_time()
    third.unready = {}
    third.answer()
    assert link.client is third and (link.state.worker, link.state.progress) == ("connected", "")
    assert link.mirror.died is None


@pytest.mark.parametrize("failing", ["raises", "dies", "fails"])
@pytest.mark.parametrize("held", [True, False])
def test_a_run_that_cannot_be_continued_has_its_history_held(failing: str, held: bool) -> None:
    third, holders = StandIn(answering=False), [dead(answering=held), dead()]

    def go_on(_: Recording) -> StandIn:
        if failing == "raises":
            raise OSError("No space left on device")
        return third

    screen, link, client = started(hold=lambda *_: holders.pop(0), go_on=go_on)
    first = holders[0]
    client.lose()
    link.go_on()
    if failing == "dies":
        third.lose("the worker ended with exit status 3")
    elif failing == "fails":
        third.unready = {"state": "failed", "message": "no such device"}
        third.answer()
    assert any("cannot be continued" in text for text in screen.told)
    assert link.state.worker == "connected" and link.state.handover == ""
    assert (link.client is first) == held and len(holders) == held


def test_a_failed_run_is_continued_while_its_worker_is_still_there_which_then_ends() -> None:
    second = StandIn(epochs=300)
    _screen, link, client = started(StandIn(state="failed"), go_on=lambda _: second)
    closed = threading.Event()
    client.close = closed.set  # type: ignore[method-assign]
    link.go_on()
    assert link.client is second and client.commands == [Stop(save=False)]
    assert closed.wait(5)
    client.arrived(Lost("too late"))
    assert not link.state.lost


def never_begun(**made: Any) -> tuple[Screen, Link, StandIn]:
    client = StandIn(answering=False)
    client.unready = {"state": "failed", "message": "gpu0: the GPU is out of memory"}
    screen = Screen(client, **made)
    screen.link.pull()
    client.answer()
    assert screen.link.mirror.recording is None
    return screen, screen.link, client


def test_a_run_that_could_not_begin_is_begun_anew() -> None:
    second = StandIn(epochs=3)
    _screen, link, client = never_begun(begin_anew=lambda: second)
    link.go_on()
    assert link.client is second and client.commands == [Stop(save=False)]


def test_a_run_that_was_begun_elsewhere_and_could_not_begin_is_not_begun_here() -> None:
    screen, link, client = never_begun(begin_anew=lambda: None)
    link.go_on()
    assert any("cannot be continued: it was begun elsewhere" in text for text in screen.told)
    assert link.client is client


def test_what_has_not_crashed_is_not_continued() -> None:
    screen, link, _client = started()
    link.go_on()
    assert screen.told == ["nothing to continue: the worker has not crashed"] and link.state.handover == ""


# Saving before something ends.


def test_what_follows_a_save_waits_for_that_very_file() -> None:
    screen, link, client = started()
    done: list[str] = []
    client.obeying = False
    link.save_then(lambda: done.append("left"))
    assert client.told == [Pause(), Save()] and link.state.saving == "writing"
    client.send(Save(ticket=3))  # another screen's
    client.obey(client.commands[-1])
    screen.frame()
    assert not done
    client.obey(client.commands[1])
    screen.frame()
    assert done == ["left"] and link.state.saving == ""


def test_a_file_that_cannot_be_written_is_asked_another_place_for() -> None:
    screen, link, client = started()
    done: list[str] = []
    client.saving_works = False
    link.save_then(lambda: done.append("left"))
    screen.frame()
    ((trouble, _, answer),) = screen.asked
    assert "No space left" in trouble and link.state.saving == "asking" and not done
    answer("/elsewhere/run.npz")
    screen.frame()
    assert done == ["left"] and link.files == ("/elsewhere/run.npz",)
    assert [type(c) for c in client.commands] == [Pause, Save, Save]


def test_a_user_who_names_no_other_place_stays_and_training_goes_on() -> None:
    screen, link, client = started()
    client.saving_works = False
    link.save_then(lambda: pytest.fail("nothing was saved"))
    screen.frame()
    screen.asked[0][2]("")
    assert client.commands[-1] == Resume() and link.state.saving == ""


def test_training_that_stood_already_does_not_go_on() -> None:
    screen, link, client = started(StandIn(state="paused"))
    client.saving_works = False
    link.save_then(lambda: pytest.fail("nothing was saved"))
    screen.frame()
    screen.asked[0][2]("")
    assert [type(c) for c in client.commands] == [Save]


def test_a_worker_that_goes_while_it_writes_is_not_waited_for() -> None:
    _screen, link, client = started(hold=lambda *_: dead())
    client.obeying = False
    link.save_then(lambda: pytest.fail("nothing was saved"))
    client.lose()
    assert link.state.saving == "" and link.unsaved


@pytest.mark.parametrize("works", [True, False])
def test_no_new_worker_takes_over_while_the_old_one_writes(works: bool) -> None:
    second = StandIn(epochs=300)
    screen, link, client = started(StandIn(state="failed"), go_on=lambda _: second)
    client.obeying = False
    client.saving_works = works
    done: list[str] = []
    link.save_then(lambda: done.append("left"))
    link.go_on()
    screen.pass_time()
    assert link.client is client and link.state.handover == "continuing"
    client.obey(client.commands[0])
    screen.frame()
    assert bool(done) == works and len(screen.asked) == (not works)
    screen.pass_time()
    assert link.client is second


def test_where_no_worker_is_left_the_screen_writes_what_it_holds() -> None:
    written: list[tuple[Recording, str | None]] = []

    def write(recording: Recording, place: str | None) -> str:
        written.append((recording, place))
        if place is None:
            raise OSError("No space left on device")
        return place

    screen, link, client = started(write=write)
    client.lose()
    done: list[str] = []
    link.save_then(lambda: done.append("left"))
    assert link.unsaved and "No space left" in screen.asked[0][0]
    screen.asked[0][2]("/elsewhere/run.npz")
    assert written == [(link.mirror.recording, None), (link.mirror.recording, "/elsewhere/run.npz")]
    assert done and not link.unsaved and link.files == ("/elsewhere/run.npz",)


# The end.


def test_files_of_all_workers_are_known_at_the_end() -> None:
    second, third = dead(saved=("second.npz",)), StandIn(epochs=300, saved=("third.npz",))
    _screen, link, client = started(
        StandIn(saved=("first.npz",)), hold=lambda *_: second, go_on=lambda _: third
    )
    client.lose()
    link.go_on()
    assert link.files == ("first.npz", "second.npz", "third.npz")


def test_a_worker_that_ended_in_order_has_left_nothing_unsaved() -> None:
    _screen, link, client = started()
    client.arrived(Lost("the worker was told to end", (), ("left.npz",)))
    assert link.state.lost and not link.unsaved and link.files == ("left.npz",)


@pytest.mark.parametrize("detached", [True, False])
@pytest.mark.parametrize("seen", [True, False])
def test_leaving_drops_what_the_user_has_seen_and_nothing_else(seen: bool, detached: bool) -> None:
    screen = Screen(StandIn(answering=seen, detached=detached))
    screen.frame()
    screen.link.leave()
    client = screen.link.client
    assert client.commands == ([] if detached else [Stop(save=not seen)])  # type: ignore[attr-defined]


@pytest.mark.parametrize("leave", [Link.leave, Link.keep_all])
def test_no_new_worker_takes_over_once_the_screen_is_left(leave: Callable[[Link], None]) -> None:
    second = StandIn(epochs=300, answering=False)
    _screen, link, client = started(StandIn(state="failed"), go_on=lambda _: second)
    link.go_on()
    leave(link)
    said = list(client.commands)
    second.answer()
    assert link.client is client and client.commands == said
    link.close()
    assert second.commands == [Stop(save=False)] and second.closed


def test_two_ends_at_once_write_the_history_once() -> None:
    written: list[Recording] = []
    second = threading.Event()

    def write(recording: Recording, place: str | None) -> str:
        written.append(recording)
        second.wait(0.5 if len(written) == 1 else 0)  # room for another one to come in between
        second.set()
        return "rescued.npz"

    _screen, link, client = started(write=write)
    client.lose()
    threads = [threading.Thread(target=link.keep_all) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert written == [link.mirror.recording] and link.files == ("rescued.npz",)


def test_a_worker_that_was_only_to_take_over_ends_with_the_link() -> None:
    second = dead(answering=False)
    _screen, link, client = started(hold=lambda *_: second)
    client.lose()
    link.close()
    assert second.commands == [Stop(save=False)] and second.closed and client.closed


@pytest.mark.parametrize(
    ("known", "tail", "new"),
    [("abc", "bcd", "d"), ("abc", "xyz", "xyz"), ("", "ab", "ab"), ("abc", "abc", ""), ("abab", "abab", ""),
     ("ab", "", "")],
)  # fmt: skip
def test_the_end_of_a_log_is_not_said_twice(known: str, tail: str, new: str) -> None:
    assert list(unseen(list(known), list(tail))) == list(new)
