"""Terminals of every size, and of sizes that change."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator

import pyte
from rich.cells import cell_len

from ibtui.config import RunConfig, WatchOptions
from ibtui.run import wire
from ibtui.ui import view as views
from ibtui.ui.app import IbtuiApp
from tests.faults.boxes import (
    ENDLESS,
    FUSED,
    Lost,
    asked,
    folder,
    sockets,
    tidy,
)  # fmt: skip
from tests.terminal import Terminal
from tests.ui.standin import StandIn, strips

WIDEST, HIGHEST = 400, 120
EXTREMES = [
    (1, 1), (1, HIGHEST), (WIDEST, 1), (WIDEST, HIGHEST), (79, 24), (80, 23), (80, 24), (119, 40), (120, 39),
    (120, 40), (2, 2), (97, 33),
]  # fmt: skip
_BROKEN = "cannot be drawn"


def resized(tries: int) -> list[Lost]:
    """So many resizes of the real screen, and a sweep of its sizes without a terminal."""
    return [_resized(tries), _swept(tries)]


def _resized(tries: int) -> Lost:
    """The real screen, its size changed at random while it draws; every tenth time it has to settle."""
    chance, broken, outside, behind = random.Random(7), 0, 0, 0
    with folder() as place:
        with Terminal(*FUSED, "--epochs", str(ENDLESS), "--snapshot-dir", str(place)) as terminal:
            terminal.until(r"running +epoch [1-9]")
            with wire.connect(sockets()[0].stem) as line:
                for count in range(tries):
                    columns, rows = _size(count, chance)
                    terminal.resize(columns, rows)
                    terminal.settle(0.01)
                    if count % 10 == 9:
                        for _ in range(2):  # what was on its way before has been read, and it is drawn anew
                            terminal.settle(0.2)
                            terminal.catch_up()
                        mark, before = len(terminal.raw), asked(line).epoch
                        terminal.settle(0.3)
                        broken += _BROKEN in terminal.text
                        outside += _leaves(terminal.raw[mark:], columns, rows)
                        behind += asked(line).epoch <= before
            terminal.resize(120, 40)
            terminal.until(r"running +epoch [1-9][\d,]* of [^\n]*newest")
            terminal.type("q")
            terminal.until("without saving")
            terminal.type("q")
            status = terminal.wait()
        tidy()
    return Lost(
        "The terminal resized, from 1x1 to 400x120, while everything runs",
        tries,
        f"{broken} panes not drawn, {outside} pictures that leave the terminal, {behind} times that "
        f"training stood still, exit status {status}",
        not (broken or outside or behind or status),
    )


def _size(count: int, chance: random.Random) -> tuple[int, int]:
    if count % 2:
        return chance.choice(EXTREMES)
    return chance.randint(1, WIDEST), chance.randint(1, HIGHEST)


def _leaves(written: bytes, columns: int, rows: int) -> bool:
    """Return whether what was written goes beyond a terminal of this size."""
    canvas = pyte.Screen(columns + 1, rows + 1)
    canvas.reset_mode(7, private=True)  # lines do not wrap
    stream = pyte.ByteStream(canvas)
    stream.feed(re.sub(rb"\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p", b"", written))
    beyond = [canvas.buffer[row][columns].data for row in range(rows)] + list(canvas.display[rows])
    return "".join(beyond).strip() != ""


def _swept(tries: int) -> Lost:
    """Sizes without a terminal: every width, every height, then at random; fewer of few tries."""
    sizes = list(_sweep(tries))
    broken, cut = asyncio.run(_sweeping(sizes))
    return Lost(
        f"The screen at {len(set(sizes)):,} of the {WIDEST * HIGHEST:,} sizes from 1x1 to 400x120",
        len(sizes),
        f"{broken} panes not drawn, {cut} pictures of another size than the terminal",
        not broken and not cut,
    )


def _sweep(tries: int) -> Iterator[tuple[int, int]]:
    chance = random.Random(8)
    yield from EXTREMES
    widths = sorted(chance.sample(range(1, WIDEST + 1), min(WIDEST, tries)))
    heights = sorted(chance.sample(range(1, HIGHEST + 1), min(HIGHEST, tries // 3)))
    yield from ((width, 40 if at % 2 else 24) for at, width in enumerate(widths))
    yield from ((120 if at % 2 else 80, height) for at, height in enumerate(heights))
    yield from ((chance.randint(1, WIDEST), chance.randint(1, HIGHEST)) for _ in range(tries // 3))


async def _sweeping(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    broken = cut = 0
    app = IbtuiApp(StandIn(RunConfig(layers=(2, 3, 2))), WatchOptions(marker="braille"))
    async with app.run_test(size=(120, 40)) as pilot:
        for width, height in sizes:
            await pilot.resize_terminal(width, height)
            while app.size != (width, height):
                await pilot.pause()
            await pilot.pause()
            rows = [strip.text for strip in strips(app)]
            cut += len(rows) != height or any(cell_len(row) != width for row in rows)
            broken += any(_BROKEN in row for row in rows)
            if views.layout_for(width, height) != "small":
                await pilot.press("i" if height % 2 else "enter")
                await pilot.pause()
                broken += any(_BROKEN in line for line in app.mirror.log)
                await pilot.press("escape")
    return broken, cut
