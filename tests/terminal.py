"""A real pseudo-terminal with a program in it: keys are typed, and the screen is read back."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence

import pyte

WAIT_S = 60.0


class Terminal:
    """Runs `ibtui`, or another module, with these arguments on a terminal of this size.

    `through` is what runs the command there, tmux for one. A mute terminal does not say its size.
    """

    def __init__(
        self, *arguments: str, columns: int = 120, rows: int = 40, module: str = "ibtui",
        through: Sequence[str] = (), mute: bool = False, **environment: str,
    ) -> None:  # fmt: skip
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._fd, child = pty.openpty()
        size = (0, 0) if mute else (rows, columns)
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        clean = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR", "LC_ALL")}
        self.process = subprocess.Popen(
            [*through, sys.executable, "-m", module, *arguments],
            stdin=child, stdout=child, stderr=child, start_new_session=True,
            env=clean | {"TERM": "xterm-256color", "LANG": "C.UTF-8"} | environment,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(child)
        self.raw = b""

    def read(self, seconds: float) -> bool:
        """Take in what the program writes; False once it has closed the terminal."""
        if not select.select([self._fd], [], [], seconds)[0]:
            return True
        try:
            piece = os.read(self._fd, 65536)
        except OSError:
            return False
        self.raw += piece
        # pyte takes these two private sequences for text.
        text = re.sub(rb"\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p", b"", piece)
        try:
            self._stream.feed(text)
        except TypeError:  # a sequence that was broken off goes on as another, which terminals put up with
            self._stream = pyte.ByteStream(self.screen)
        return bool(piece)

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def until(self, pattern: str) -> re.Match[str]:
        """Wait until the screen shows a pattern."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            if found := re.search(pattern, self.text):
                return found
            if not self.read(0.05):
                break
        raise AssertionError(f"{pattern!r} is not on the screen:\n{self.text}")

    def settle(self, seconds: float) -> str:
        """The screen after so much time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.read(0.05):
            pass
        return self.text

    def catch_up(self) -> str:
        """The screen once nothing waits to be read: reading may be slower than the program is."""
        while select.select([self._fd], [], [], 0)[0] and self.read(0):
            pass
        return self.text

    def epoch(self) -> int:
        return int(self.until(r"epoch ([\d,]+) of")[1].replace(",", ""))

    def type(self, keys: str | bytes) -> None:
        os.write(self._fd, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.killpg(self.process.pid, signal.SIGWINCH)

    def hang_up(self) -> None:
        """The line drops."""
        os.close(self._fd)

    def wait(self) -> int:
        """The exit status; what is written until then is taken in."""
        end = time.monotonic() + WAIT_S
        while self.read(0.05) and self.process.poll() is None:
            assert time.monotonic() < end, f"it does not end:\n{self.text}"
        while select.select([self._fd], [], [], 0.1)[0] and self.read(0):
            pass
        return self.process.wait(WAIT_S)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self._fd)
