"""Requests of screens to a loop: it waits, steps and ends, and nobody who dies holds it up."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import socket
import stat
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import ibtui
from ibtui.cli import main
from ibtui.run import control, loops, places
from tests.marks import slow
from tests.watch.loops import WAIT_S, Net, ask, connect, process, rows, until, wait_until


def test_a_pause_holds_while_its_connection_is_open():
    with process():
        screen = connect()
        assert ask(screen, "pause").state in ("pausing", "paused")
        epoch = until(screen, "paused").epoch
        other = connect()
        assert ask(other, "status").state == "paused" and ask(other, "status").epoch == epoch
        screen.close()
        wait_until(lambda: ask(other, "status").epoch > epoch)
        assert ask(other, "status").state == "running"


def test_it_holds_for_each_screen_that_asked():
    with process():
        screens = [connect(), connect()]
        for screen in screens:
            ask(screen, "pause")
        epoch = until(screens[0], "paused").epoch
        screens[1].close()
        third = connect()
        assert [ask(third, "status").state for _ in range(20)] == ["paused"] * 20
        assert ask(third, "go on").state == "running"
        wait_until(lambda: ask(third, "status").epoch > epoch)


def test_it_stays_where_it_is_to_stay():
    with process():
        screen = connect()
        ask(screen, "stay")
        epoch = until(screen, "paused").epoch
        screen.close()
        again = connect()
        assert (ask(again, "status").state, ask(again, "status").epoch) == ("paused", epoch)
        ask(again, "go on")
        until(again, "running")


@pytest.mark.parametrize("known", [True, False])
def test_what_was_asked_is_done_though_who_asked_has_gone(known):
    """A loop may be busy for long, and its screen is left meanwhile."""
    with process() as child:
        screen = connect()
        ask(screen, "stay")
        epoch = until(screen, "paused").epoch
        child.send_signal(signal.SIGSTOP)
        if not known:
            screen = control.Control(loops.sockets()["net"])
        for word in ("status", "go on", "status"):
            screen.send(word)
        screen.close()
        child.send_signal(signal.SIGCONT)
        again = connect()
        wait_until(lambda: ask(again, "status").epoch > epoch)


def test_answers_that_come_together_are_all_heard():
    with process() as child:
        screen = connect()
        child.send_signal(signal.SIGSTOP)
        screen.send("status")
        screen.send("sing")
        child.send_signal(signal.SIGCONT)
        ask(connect(), "status")  # both have been answered
        assert [screen.wait(WAIT_S).refused for _ in range(2)] == ["", "not a request that this loop knows"]
        screen.ask_where()
        assert screen.wait(WAIT_S).refused == ""


def test_steps_are_exact():
    with process(every=1000):
        screen = connect()
        ask(screen, "pause")
        epoch = until(screen, "paused").epoch
        for count in (1, 1, 10, 3):
            ask(screen, "step", epochs=count)
            epoch += count
            wait_until(lambda epoch=epoch: ask(screen, "status").epoch >= epoch)
            assert until(screen, "paused").epoch == epoch


def test_the_net_as_it_stands_is_shown_and_not_recorded():
    from ibtui.recording.streams import Stream

    with process(every=1000, pause_s=0.01):
        screen = connect()
        wait_until(lambda: ask(screen, "status").epoch > 0)
        ask(screen, "pause")
        epoch = until(screen, "paused").epoch
        stream = Stream("net.ibtui")

        def present() -> bool:
            list(stream.rows())
            return stream.present is not None

        wait_until(present)
        assert stream.present.epoch == epoch > 0 and stream.newest == 0
        assert stream.present.scalars.keys() == {"loss", "wrong"}


def test_a_screen_that_is_killed_lets_it_go_on():
    with process():
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                screen = connect()
                ask(screen, "pause")
                until(screen, "paused")
                os.write(writing, b".")
                signal.pause()
            finally:
                os._exit(1)
        assert os.read(reading, 1) == b"."
        watching = connect()
        epoch = until(watching, "paused").epoch
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        wait_until(lambda: ask(watching, "status").epoch > epoch)


def test_stop_ends_the_loop_in_order(capsys):
    with process() as child:
        wait_until(lambda: len(rows("net.ibtui")) > 2)
        assert main(["stop", "net"]) == 0
        assert "net" in capsys.readouterr().out
        assert child.wait(10) == 0 and child.stdout.read() == "ended\n"
    epochs = [row.epoch for row in rows("net.ibtui")]
    assert epochs[:3] == [0, 5, 10] and epochs == sorted(set(epochs))


def test_stop_takes_a_loop_by_its_name_alone(capsys):
    with process() as child:
        assert main(["stop"]) == 2
        assert "a watched loop is only taken by its name: net" in capsys.readouterr().err
        assert child.poll() is None


def test_a_loop_that_hangs_up_without_an_answer_has_not_been_asked(capsys):
    places.folder().mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        with places.short(places.folder() / f"net{loops.SOCKET}") as address:
            listener.bind(address)
        listener.listen()
        hanging_up = threading.Thread(target=lambda: listener.accept()[0].close())
        hanging_up.start()
        assert main(["stop", "net"]) == 1
        hanging_up.join()
    out, err = capsys.readouterr()
    assert not out and err == "ibtui: net: cannot be reached: Connection reset by peer\n"


def test_step_says_that_it_is_to_stop():
    net = Net()
    with ibtui.watch(net, net.x, net.y, name="net") as run:
        assert run.step(0)
        screen = connect()
        ask(screen, "stop")
        assert not run.step(1) and not run.step(2)


def test_a_paused_loop_can_be_stopped():
    with process() as child:
        screen = connect()
        ask(screen, "stay")
        until(screen, "paused")
        ask(screen, "stop")
        assert child.wait(10) == 0


def test_ctrl_c_ends_a_waiting_loop():
    with process() as child:
        screen = connect()
        ask(screen, "stay")
        until(screen, "paused")
        child.send_signal(signal.SIGINT)
        assert child.wait(10) != 0 and "KeyboardInterrupt" in child.stderr.read()
    assert loops.sockets() == {}


def test_jobs_of_several_processes_are_not_held_up(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "0")
    net = Net()
    with ibtui.watch(net, net.x, net.y, name="net") as run:
        screen = connect()
        for word in ("pause", "step", "stop", "stay"):
            assert "4 processes train together" in ask(screen, word).refused
        assert run.step(1)


@pytest.mark.parametrize(
    "line",
    [b"", b"nonsense", b"[]", b'{"do": 3}', b'{"do": "eval"}', b'{"do": "step", "epochs": -3}', b"[" * 4000,
     b'{"do": "step", "epochs": 1e300}', b"\xff\xfe"],
)  # fmt: skip
def test_nonsense_is_answered_and_harms_nothing(line):
    net = Net()
    with ibtui.watch(net, net.x, net.y, name="net") as run:
        list(run.epochs(1))
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(loops.sockets()["net"]))
            peer.settimeout(10)
            said = peer.recv(4096)
            assert json.loads(said)["epoch"] == 1
            peer.sendall(line + b"\n")
            assert b"refused" in peer.recv(4096) or b"step" in line
        assert ask(connect(), "status").refused == ""


def test_endless_lines_are_hung_up_on():
    net = Net()
    with ibtui.watch(net, net.x, net.y, name="net"), socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(loops.sockets()["net"]))
        peer.settimeout(10)
        peer.recv(4096)
        with pytest.raises(OSError, match=r".*"):
            peer.sendall(b"x" * 10_000_000)
        assert ask(connect(), "status").state == "running"


def test_nobody_else_can_enter():
    net = Net()
    with ibtui.watch(net, net.x, net.y, name="net"):
        path = loops.sockets()["net"]
        assert (
            stat.S_IMODE(path.parent.stat().st_mode) == 0o700 and stat.S_IMODE(path.stat().st_mode) == 0o600
        )
    assert loops.sockets() == {}


def test_others_users_are_not_heard(monkeypatch):
    from ibtui.run import peers

    net = Net()
    with ibtui.watch(net, net.x, net.y, name="net"):
        monkeypatch.setattr(peers, "credentials", lambda peer: (1, os.getuid() + 1))
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(loops.sockets()["net"]))
            peer.settimeout(10)
            assert peer.recv(4096) == b""


def test_the_folder_may_be_removed_meanwhile(monkeypatch):
    from ibtui.probe import gate

    monkeypatch.setattr(gate, "_LOOK_S", 0.02)
    net = Net()
    with ibtui.watch(net, net.x, net.y, name="net"):
        loops.sockets()["net"].unlink()
        wait_until(lambda: "net" in loops.sockets())
        assert ask(connect(), "status").state == "running"


def test_the_folder_may_be_removed_while_a_screen_asks_all_the_time(monkeypatch):
    from ibtui.probe import gate

    monkeypatch.setattr(gate, "_LOOK_S", 1.0)
    net = Net()
    with ibtui.watch(net, net.x, net.y, name="net"):
        screen = connect()
        loops.sockets()["net"].unlink()

        def back() -> bool:
            ask(screen, "status")
            return "net" in loops.sockets()

        wait_until(back)


def test_a_loop_without_files_to_be_had_is_left_its_time(monkeypatch):
    from ibtui.probe import gate

    tries: list[float] = []
    accept = gate.Listener._accept
    monkeypatch.setattr(gate.Listener, "_accept", lambda self: tries.append(time.monotonic()) or accept(self))
    net = Net()
    with ibtui.watch(net, net.x, net.y, name="net"), socket.socket(socket.AF_UNIX) as peer:
        path, before = str(loops.sockets()["net"]), resource.getrlimit(resource.RLIMIT_NOFILE)
        peer.settimeout(10)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))  # those that are open stay so
        try:
            peer.connect(path)
            wait_until(lambda: len(tries) > 3)
            assert np.diff(tries).min() > 0.9 * gate._REST_S  # it does not try all the time
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert json.loads(peer.recv(4096))["state"] == "running"


# Names.


def test_two_live_loops_of_one_name():
    net = Net()
    with (
        ibtui.watch(net, net.x, net.y, name="net") as one,
        ibtui.watch(net, net.x, net.y, name="net") as other,
    ):
        assert (one.name, other.name) == ("net", "net-2")
        assert {where.name: where.stream.name for where in control.live()} == {
            "net": "net.ibtui", "net-2": "net-2.ibtui",
        }  # fmt: skip
    with ibtui.watch(net, net.x, net.y, name="net") as third:
        assert third.name == "net" and Path(third.path).name == "net-3.ibtui"
    assert [Path(stream.path).name for stream in loops.streams("net")] == ["net-3.ibtui", "net.ibtui"]


def test_many_loops_that_begin_at_once_have_different_names():
    net, names = Net(), []

    def begin() -> None:
        with ibtui.watch(net, net.x, net.y, name="net") as run:
            names.append(run.name)
            together.wait(20)

    together = threading.Barrier(6)
    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == ["net", *(f"net-{number}" for number in range(2, 7))]


def test_the_name_of_one_that_was_killed_is_free():
    with process() as child:
        child.kill()
        child.wait()
        assert "net" in loops.sockets()
    net = Net()
    with ibtui.watch(net, net.x, net.y, name="net") as run:
        assert run.name == "net"


def test_ls_lists_loops(capsys, tmp_path):
    with process(epochs=10**6) as child:
        wait_until(lambda: rows("net.ibtui"))
        screen = connect()
        assert main(["ls"]) == 0
        line = capsys.readouterr().out
        assert line.startswith("net  running  epoch ") and "of 1,000,000  watched loop, pid" in line
        assert f"pid {child.pid}, 1 screen  {tmp_path}/net.ibtui" in line
        ask(screen, "stop")
        child.wait(10)
    assert main(["ls"]) == 0
    line = capsys.readouterr().out
    assert line.startswith("net  ended  watched loop  ") and line.endswith(f" ago  {tmp_path}/net.ibtui\n")


def test_ls_does_not_say_that_a_loop_has_ended_that_stands_still(capsys):
    for _ in range(2):
        with process() as child:
            wait_until(lambda: rows("net.ibtui"))
            child.send_signal(signal.SIGSTOP)
            os.waitpid(child.pid, os.WUNTRACED)
            assert main(["ls"]) == 0
            child.send_signal(signal.SIGCONT)
    said = capsys.readouterr().out
    assert said.count("net  does not answer  watched loop  ") == 2
    assert main(["ls"]) == 0
    assert "does not answer" not in capsys.readouterr().out


def test_streams_are_found_from_elsewhere(monkeypatch, tmp_path):
    from ibtui.run.runs import find_watched

    net = Net()
    for _ in range(2):
        with ibtui.watch(net, net.x, net.y, name="net") as run:
            list(run.epochs(1))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert find_watched("net") == str(tmp_path / "net-2.ibtui")
    (tmp_path / "net-2.ibtui").unlink()
    assert find_watched("net") == str(tmp_path / "net.ibtui")
    assert find_watched("other") is None
    with process() as child:
        wait_until(lambda: rows("net.ibtui"))
        assert find_watched("net") == find_watched(None) == str(tmp_path / "elsewhere" / "net.ibtui")
        child.kill()


@pytest.mark.parametrize(
    "text", ["", "[]", '["net", 3, 4]', '["../x", "/a", 1]', "[" * 5000, '["a", "\\u0000", 1]']
)
def test_words_of_streams_may_be_nonsense(text):
    folder = places.folder() / "streams"
    folder.mkdir()
    (folder / "abc.json").write_text(text)
    assert loops.streams() == [] and not list(folder.iterdir())


@pytest.mark.parametrize("asked", [40, *slow(2000)])
def test_whatever_screens_ask_in_whatever_order_the_loop_stands_where_they_want_it(asked):
    """Against what the protocol says of each request, with screens that come, go, and go while they ask."""
    chance = random.Random(asked)
    with process(pause_s=0.001):
        observer, screens = connect(), []
        holding, stays, stands = set(), False, None
        for _ in range(asked):
            if not screens or (len(screens) < 4 and chance.random() < 0.2):
                screens.append(connect())
            screen = chance.choice(screens)
            word, steps = chance.choice(("pause", "stay", "step", "go on", "")), chance.randint(1, 3)
            leaves = not word or chance.random() < 0.3
            if word:
                screen.send(word, epochs=steps) if leaves else ask(screen, word, epochs=steps)
            if leaves:  # without a look at the answer
                screens.remove(screen)
                screen.close()
                wait_until(lambda: ask(observer, "status").screens == 1 + len(screens))
            if word == "go on":
                holding, stays = set(), False
            elif word:
                holding, stays = holding | {screen}, stays or word == "stay"
            holding.discard(screen if leaves else None)
            if not holding and not stays:
                began = until(observer, "running").epoch
                wait_until(lambda began=began: ask(observer, "status").epoch > began)
                stands = None
            else:
                epoch = until(observer, "paused").epoch
                if stands is not None:
                    assert epoch == stands + (steps if word == "step" else 0), (word, leaves)
                stands = epoch
