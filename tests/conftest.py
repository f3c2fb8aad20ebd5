"""Every test has a home, a runtime folder and a working folder of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ibtui.run import places
from ibtui.run.estimating import HistoryThread

_ENDING_S = 10.0
"""Seconds that a thread may take to end after its test."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what tests have recorded by `record_property("told", …)`: how far the machine let them compare."""
    reports = [report for some in terminalreporter.stats.values() for report in some]
    told = [
        pair[1] for report in reports for pair in getattr(report, "user_properties", ()) if pair[0] == "told"
    ]
    for line in dict.fromkeys(told):
        terminalreporter.write_line(line)


def pytest_configure(config: pytest.Config) -> None:
    """Compiled code is kept from one run of the tests to the next, and not with the user's."""
    for number in (signal.SIGHUP, signal.SIGINT):
        # Under nohup, or in the background of a script, they are ignored. What the tests start would inherit
        # that; it does not inherit a handler.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    if (cache := getattr(config, "cache", None)) is not None:
        os.environ["NUMBA_CACHE_DIR"] = str(cache.mkdir("compiled"))
    else:
        folder = tempfile.TemporaryDirectory(prefix="ibtui")
        config.add_cleanup(folder.cleanup)
        os.environ["NUMBA_CACHE_DIR"] = folder.name


@pytest.fixture(scope="session")
def font_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Matplotlib's folder for its list of fonts, which takes seconds to make: one for all tests."""
    return tmp_path_factory.mktemp("matplotlib")


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, font_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="ib") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        monkeypatch.setenv(places.OWN, str(Path(runtime, "ibtui")))  # no run of the machine's user is seen
        home = Path(runtime, "home")  # where what cannot be saved elsewhere goes
        home.mkdir()
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("MPLCONFIGDIR", str(font_cache))
        for size in ("COLUMNS", "LINES"):  # as where the tests' own output goes to
            monkeypatch.delenv(size, raising=False)
        monkeypatch.chdir(tmp_path)
        root = str(Path(__file__).parent.parent)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])))
        before = _processes()
        try:
            yield
        finally:
            _end(_processes() - before, runtime.encode())


@pytest.fixture(autouse=True)
def no_thread_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Threads that a test began end with it, so that later tests do not pay for them."""
    before = set(threading.enumerate())
    yield
    if request.node.get_closest_marker("frameworks"):  # which keep threads of their own
        return
    end = time.monotonic() + _ENDING_S
    for thread in set(threading.enumerate()) - before:
        if isinstance(thread, HistoryThread):  # a RunState's, which in a worker goes on as long as it does
            threading.Thread(target=thread.close, daemon=True).start()
        thread.join(max(0.0, end - time.monotonic()))
    left = sorted(thread.name for thread in set(threading.enumerate()) - before)
    assert not left, f"threads go on: {', '.join(left)}"


def _processes() -> set[int]:
    """The processes there are; none where the system does not list them as Linux does."""
    with contextlib.suppress(OSError):
        return {int(name) for name in os.listdir("/proc") if name.isdigit()}
    return set()


def _end(processes: set[int], folder: bytes) -> None:
    """End those whose environment names a test's folder: it may have failed before it ended them itself."""
    for pid in processes:
        with contextlib.suppress(OSError):
            if folder in Path(f"/proc/{pid}/environ").read_bytes():
                os.kill(pid, signal.SIGKILL)
