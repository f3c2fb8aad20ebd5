"""The faults, one function each: brings it about so many times and tells what was lost."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from ibtui.config import RunConfig, WatchOptions
from ibtui.core.information import Binning
from ibtui.errors import RecordingError
from ibtui.recording import files
from ibtui.run import places, wire
from ibtui.run.job import DeadRun
from ibtui.run.protocol import Pause, Pull, Rebin, Save
from ibtui.ui.live import LiveWorkers
from tests.faults.boxes import (
    ENDLESS,
    FUSED,
    LONG_S,
    Lost,
    children_of,
    folder,
    gone,
    ibtui,
    kill,
    resumes_exactly,
    rss_mb,
    small_disk_command,
    temporaries,
    wait_for,
    worst,
)  # fmt: skip
from tests.run.driver import Driver
from tests.terminal import Terminal

AUTOSAVE_MIN = 0.01
SPARSE = (*FUSED[:-1], "5000")
"""Small files: a large one is written more seldom, to cost no more than a twentieth of the time."""
_ALLOWED_S = 60 * AUTOSAVE_MIN + 0.7
"""The interval, a stretch of epochs before it is looked at, and what a busy machine adds."""


def record_killed(tries: int) -> list[Lost]:
    """`kill -9` of `--record` at random moments, each run going on where the last one was killed."""
    moments, damaged, ages, left, refused = random.Random(1), 0, [], 0, 0
    with folder() as place:
        path = place / "run.npz"
        for count in range(tries):
            more = ("--resume", str(path), "--force") if path.exists() else SPARSE
            process = ibtui(
                *more,
                "--epochs",
                str(ENDLESS),
                "--record",
                str(path),
                "--autosave",
                str(AUTOSAVE_MIN),
                "--history-mb",
                "1",
            )
            began = time.time()
            if count % 2:  # once it writes, however long a busy machine takes until then
                wait_for(lambda since=began: path.exists() and path.stat().st_mtime > since)
                time.sleep(moments.uniform(0.0, 2.0))  # at no event, but at any moment
            else:
                time.sleep(moments.uniform(0.0, 4.5))  # at no event, but at any moment
            killed = time.time()
            kill(process)
            refused += process.returncode != -signal.SIGKILL
            if path.exists():
                try:
                    files.load(path)
                except RecordingError:
                    damaged += 1
                written = path.stat().st_mtime
                if written > began:  # by this run, not by one before
                    ages.append(killed - written)
        files.check_writable(path)
        left = len(temporaries(place))
        exact = path.exists() and resumes_exactly(path)
    late = sum(age > _ALLOWED_S for age in ages)
    return [
        Lost(
            "`--record` killed (`kill -9`) at random moments, each gone on from",
            tries,
            f"{damaged} files damaged, {left} temporaries left by the next run; {worst(ages):.2f} s of work "
            f"at most (autosave every {60 * AUTOSAVE_MIN:.1f} s); in the end {'' if exact else 'NOT '}equal "
            "to a run never killed, to the bit",
            not damaged and not left and exact and not refused,
            prompt=late <= tries // 20,
        )
    ]


def signals(tries: int) -> list[Lost]:
    """The signals that end a run, from its first instant on."""
    moments, statuses, wrong, unread = random.Random(2), {}, 0, 0
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with folder() as place:
        for count in range(tries):
            path, number = place / f"{count}.npz", numbers[count % 3]
            process = ibtui(*FUSED, "--epochs", str(ENDLESS), "--record", str(path))
            time.sleep(moments.uniform(1.5, 3.0))  # at no event, but at any moment
            process.send_signal(number)
            out, err = process.communicate(timeout=LONG_S)
            statuses[process.returncode] = statuses.get(process.returncode, 0) + 1
            early = process.returncode in (-number, 130) and "Traceback" not in err and not path.exists()
            if early or "before the first measurement" in out:
                continue  # before there was anything to save
            wrong += process.returncode != 128 + number or "interrupted; saved" not in out or bool(err)
            try:
                unread += not len(files.load(path))
            except RecordingError:
                unread += 1
    return [
        Lost(
            "SIGINT, SIGTERM, SIGHUP to `--record`",
            tries,
            f"{unread} files missing or unreadable, {wrong} wrong exit statuses; nothing of what was trained",
            not wrong and not unread,
        )
    ]


CONFIG = RunConfig(engine="fused", ctx="cpu", epochs=1_000_000, every=10, samples=200)


def worker_killed(tries: int) -> list[Lost]:
    """`kill -9` of the worker: the screen's mirror is saved, rebinned by a new worker, and gone on with."""
    moments, unequal, rebinned, told = random.Random(3), 0, 0, []
    with folder() as place:
        for count in range(tries):
            driver = Driver.train(CONFIG, epochs_per_second=0.0)
            driver.until(lambda d: d.recording is not None and len(d.recording) > 2)
            end = time.monotonic() + moments.uniform(0, 0.7)
            while time.monotonic() < end:
                driver.pull()
            driver.worker.kill()
            began = time.monotonic()
            driver.until_lost()
            told.append(time.monotonic() - began)
            assert "SIGKILL" in driver.lost.reason
            driver.client.close()
            driver.client.wait()
            path = place / f"{count}.npz"
            files.save(driver.recording, path)
            unequal += not resumes_exactly(path, 137)
            rebinned += resumes_exactly(_rebinned(driver, place / f"{count}-rebinned.npz"), 137)
        left = len(list(places.folder().glob("*.sock")))
        for stale in places.folder().iterdir():
            stale.unlink()
    return [
        Lost(
            "The worker killed (`kill -9`); its screen's mirror saved, gone on from, rebinned by a new one",
            tries,
            f"no measurement that was shown; {tries - unequal} of {tries} equal to a run never killed, to "
            f"the bit, and {rebinned} of {tries} to one recorded with the other binning; told after "
            f"{worst(told):.2f} s at most",
            not unequal and rebinned == tries and not left,
            prompt=worst(told) < 1.0,
        )
    ]


def _rebinned(dead: Driver, path: Path) -> Path:
    """Have a new worker rebin and save what the screen knows of a run whose worker has died."""
    dead_run = DeadRun(dead.status.epoch, saved=False)
    with Driver(LiveWorkers(dead.client, WatchOptions()).hold(dead.recording, dead_run)) as held:
        held.until_state("dead")
        held.send(Rebin(Binning("closed", 5, 30)))
        held.until(lambda d: d.recording.binning.t_bins == 30 and not d.status.pending)
        held.send(Save(str(path)))
        held.until(lambda d: d.status.saves)
    return path


def screen_killed(tries: int) -> list[Lost]:
    """`kill -9` of the screen: the worker saves and ends."""
    moments, missing, took, left = random.Random(4), 0, [], 0
    with folder() as place:
        for count in range(tries):
            at = place / str(count)
            at.mkdir()
            with Terminal(*FUSED, "--epochs", str(ENDLESS), "--snapshot-dir", str(at)) as terminal:
                terminal.until(r"running +epoch [1-9]")
                terminal.settle(moments.uniform(0, 0.5))
                (worker,) = children_of(terminal.process.pid)
                terminal.process.kill()
                began = time.monotonic()
                wait_for(lambda pid=worker: gone(pid), 20)
                took.append(time.monotonic() - began)
            found = list(at.glob("*.npz"))
            missing += len(found) != 1 or files.load(found[0]).checkpoint.epoch < 1
            left += len(list(places.folder().glob("*.sock")))
        for stale in places.folder().iterdir():
            stale.unlink()
    return [
        Lost(
            "The screen killed (`kill -9`)",
            tries,
            f"{missing} histories, {left} sockets left; saved, and the worker ended, in {worst(took):.2f} s",
            not missing and not left,
            prompt=worst(took) < 2.5,
        )
    ]


def disk_full(tries: int) -> list[Lost]:
    """Somebody else fills the disk to which a run records, once it has written several measurements."""
    whole, kept, told = 0, 0, 0
    with folder() as place:
        small = place / "small"
        small.mkdir()
        command = small_disk_command(small, 16_000)
        fill = _fill_disk if command else _limit_files
        for count in range(tries):
            old, home = place / f"old{count}.npz", place / f"home{count}"
            home.mkdir()
            status, said = fill(command, place, old, home)
            assert "Traceback" not in said, said
            told += status == 1 and said.count(_AGAIN) == 1
            kept += _several(old)
            whole += sum(resumes_exactly(file) for file in home.glob("*.npz"))
    fallback = (
        f"{tries - whole} of the whole runs" if command else "the last part of each run (no fallback here)"
    )
    return [
        Lost(
            "Disk full while recording" if command else "File size limit reached while recording",
            tries,
            f"{tries - kept} of the files written before, {fallback}: each in the fallback that is named; "
            f"{tries - told} not told once, with exit status 1",
            kept == tries and told == tries and (whole == tries or not command),
        )
    ]


_AGAIN = "trying again while it trains"
_TO_SMALL = (
    *FUSED, "--epochs", str(ENDLESS), "--record", "small/run.npz", "--autosave", "0.002", "--history-mb", "1",
)  # fmt: skip


def _several(path: Path) -> bool:
    """Return whether a file is a recording of several measurements."""
    try:
        return len(files.load(path)) > 1
    except RecordingError:
        return False


def _fill_disk(command: list[str], place: Path, old: Path, home: Path) -> tuple[int, str]:
    """Within the shell that alone sees the small disk; the exit status and what was said."""
    run = shlex.join([sys.executable, "-m", "ibtui", *_TO_SMALL])
    several = "import sys; from tests.faults.trials import _several as s; sys.exit(not s('small/run.npz'))"
    python = shlex.join([sys.executable, "-c", several])
    line = f"""
        {run} 2> said & run=$!
        until {python}; do kill -0 $run || exit; done
        cat /dev/zero > small/other 2> refused
        until grep -q '{_AGAIN}' said; do kill -0 $run || exit; sleep 0.02; done
        kill -TERM $run; wait $run; code=$?
        cp small/run.npz {old}; rm small/*; exit $code"""
    done = subprocess.run(
        [*command, line], cwd=place, env=os.environ | {"HOME": str(home)}, stdin=subprocess.DEVNULL,
        capture_output=True, timeout=LONG_S, check=False,
    )  # fmt: skip
    return done.returncode, (place / "said").read_text()


def _limit_files(_: list[str], place: Path, old: Path, home: Path) -> tuple[int, str]:
    """Limit the size of its files, and of those of the fallback, where no disk may be mounted."""
    small = place / "small" / "run.npz"
    with open(place / "said", "w+") as said:
        run = ibtui(*_TO_SMALL, cwd=place, env=os.environ | {"HOME": str(home)}, stderr=said)
        wait_for(lambda: _several(small))
        resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (4096, 4096))
        wait_for(lambda: _AGAIN in (place / "said").read_text())
        kill(run, signal.SIGTERM)
    shutil.move(small, old)
    return run.returncode, (place / "said").read_text()


def folder_removed(tries: int) -> list[Lost]:
    """The folder disappears in the middle of a run; every other time it comes back."""
    wrong = 0
    with folder() as place:
        for count in range(tries):
            at, home = place / str(count), place / f"home{count}"
            at.mkdir()
            home.mkdir()
            path = at / "run.npz"
            process = ibtui(
                *FUSED, "--epochs", str(ENDLESS), "--record", str(path), "--autosave", "0.002",
                env=os.environ | {"HOME": str(home)},
            )  # fmt: skip
            wait_for(path.exists)
            shutil.rmtree(at, ignore_errors=True)
            shutil.rmtree(at, ignore_errors=True)
            time.sleep(0.5)  # it tries several times, and says so once
            back = count % 2 == 0
            if back:
                at.mkdir(exist_ok=True)
                wait_for(path.exists)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=LONG_S)
            (found,) = [path] if back else home.glob("*.npz")
            good = len(files.load(found)) > 0 and "Traceback" not in err
            if back:
                good &= process.returncode == 143 and err.count("No such file") <= 1
            else:
                good &= process.returncode == 1 and str(found) in err
            wrong += not good
    return [
        Lost(
            "The folder removed while recording; every other time it comes back",
            tries,
            f"{wrong} runs; they go on, and are written there again, or to the fallback that is named",
            not wrong,
        )
    ]


def two_runs(tries: int) -> list[Lost]:
    """Several runs to one path at once."""
    wrong = 0
    with folder() as place:
        for count in range(tries):
            path = place / f"{count}.npz"
            line = (*FUSED, "--epochs", str(ENDLESS), "--record", str(path), "--autosave", "0.002")
            runs = [ibtui(*line) for _ in range(3)]
            wait_for(lambda runs=runs: sum(run.poll() is not None for run in runs) >= 2)
            (winner,) = [run for run in runs if run.poll() is None]
            wait_for(path.exists)
            for run in runs:
                if run is not winner:
                    _, err = run.communicate(timeout=LONG_S)
                    named = str(path) in err and "recording to it" in err
                    wrong += run.returncode != 2 or not named or err.count("\n") != 1
            winner.send_signal(signal.SIGTERM)
            _, err = winner.communicate(timeout=LONG_S)
            wrong += bool(err) or not path.exists()
    return [
        Lost(
            "Three runs recording to one path at once",
            tries,
            f"nothing: one records, {2 * tries - wrong} of {2 * tries} others refused by name",
            not wrong,
        )
    ]


def races(tries: int) -> list[Lost]:
    """Random commands at random moments; see tests/run/races.py."""
    from tests.run.races import Game

    commands = checked = saves = 0
    took = []
    for seed in range(1000, 1000 + tries):
        with folder() as place:
            shots = place / "snapshots"
            shots.mkdir()
            try:
                played = Game(seed, 60, shots).play()
            except BaseException:
                print(f"races: seed {seed} failed", file=sys.stderr)
                raise
            commands += played.commands
            checked += played.steps_checked
            saves += played.saves
            took.append(played.shutdown_s)
    return [
        Lost(
            "Random commands at random moments, a second screen coming and going",
            tries,
            f"0 of {commands:,} commands, 0 of {saves} snapshots; {checked} steps of exactly one epoch; "
            f"shutdown after {worst(took):.2f} s at most",
            True,
            prompt=worst(took) < 2.0,
        )
    ]


def stuck_screen(tries: int) -> list[Lost]:
    """A screen that stops reading in the middle of an answer."""
    slowed, grown, took = [], [], []
    for _ in range(tries):
        config = replace(CONFIG, every=1)
        with (
            Driver.train(config, epochs_per_second=0.0, history_mb=1) as driver,
            contextlib.ExitStack() as stuck,
        ):
            driver.until(lambda d: d.recording is not None and len(d.recording) > 2000)
            pid = driver.worker.pid
            free = _speed(driver)
            for _ in range(5):
                connection = stuck.enter_context(contextlib.closing(wire.reach(driver.client.name)))
                connection.greeting()
                for _ in range(20):
                    connection.send(Pull())
            time.sleep(0.3)  # that they are stuck is told by nothing
            before = rss_mb(pid)
            held = _speed(driver)
            grown.append(rss_mb(pid) - before)
            slowed.append(held / free)
            driver.send(Pause())
            driver.until_state("paused")
            took.append(driver.stop())
    return [
        Lost(
            "Five screens that stop reading in the middle of an answer",
            tries,
            f"nothing: {100 * min(slowed):.0f}% of the speed at least, {worst(grown):.0f} MB more at most, "
            f"shutdown in {worst(took):.2f} s at most",
            worst(grown) < 10,
            prompt=min(slowed) > 0.5 and worst(took) < 2.0,
        )
    ]


def _speed(driver: Driver) -> float:
    driver.pull()
    began, epoch = time.monotonic(), driver.status.epoch
    while time.monotonic() - began < 1.0:
        driver.pull()
        time.sleep(0.05)  # as often as a screen does
    return (driver.status.epoch - epoch) / (time.monotonic() - began)
