"""The screens of a committed recording, drawn without a worker: pictures, and the texts of a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from textual.pilot import Pilot

from ibtui.config import WatchOptions
from ibtui.quantities import Measurement
from ibtui.recording import Recording
from ibtui.recording.files import load
from ibtui.run.drawing import DrawnRow
from ibtui.run.measuring import meter_of
from ibtui.run.mirror import Lost, Mirror
from ibtui.run.protocol import Command, Frame, NewRun, Status
from ibtui.ui.app import IbtuiApp

HERE = Path(__file__).parent
RECORDING = HERE / "run.npz"
"""The default experiment up to epoch 400, as `screenshots/make.py --record` makes it."""


@dataclass(frozen=True)
class Screen:
    """A picture: of an epoch, on a terminal of a size, after some keys."""

    name: str
    size: tuple[int, int]
    epoch: int
    keys: Sequence[str] = ()
    marker: str = "braille"


SCREENS = (
    Screen("live-120x40", (120, 40), 400, ["2"]),
    Screen("early-120x40", (120, 40), 17),
    Screen("live-80x24", (80, 24), 60),
    Screen("live-40x12", (40, 12), 60),
    Screen("live-160x50", (160, 50), 60),
    Screen("live-200x60", (200, 60), 60),
    Screen("net-120x40", (120, 40), 60, ["n"]),
    Screen("density-120x40", (120, 40), 300, ["v", "e", "1"], "block"),
    Screen("plane-120x40", (120, 40), 400, ["i", "p"]),
    Screen("ascii-80x24", (80, 24), 60, (), "ascii"),
)


class Player:
    """A client that shows a recording as the run that it was, up to any of its measurements."""

    detached = False

    def __init__(self, recording: Recording) -> None:
        self._whole = recording
        self._shown = Recording(recording.experiment, dict(recording.ceilings))
        self._drawing = DrawnRow(self._shown, 0)
        self._meter = meter_of(recording)
        self._arrived: Callable[[Frame | Lost], None] = lambda news: None
        self.epoch = 0

    def go_to(self, epoch: int) -> None:
        """Go on to an epoch."""
        whole, self.epoch = self._whole, epoch
        epochs = whole.column("epoch").tolist()
        while len(self._shown) < len(epochs) and epochs[len(self._shown)] <= epoch:
            row = len(self._shown)
            stored = whole.activations(row)
            self._shown.append(
                Measurement(
                    epochs[row],
                    whole.binning,
                    whole.values(row),
                    whole.kept(row),
                    list(stored or self._meter.activations(whole.kept(row))),
                )
            )

    def start(self, arrived: Callable[[Frame | Lost], None]) -> None:
        """Begin."""
        self._arrived = arrived

    def pull(self, mirror: Mirror, row: int | None) -> None:
        """Answer at once."""
        config, fresh = self._whole.config, mirror.run != 0
        status = Status(
            run=0, state="running", epoch=self.epoch, epochs=2000, epochs_per_second=60.0, pace=60.0,
            engine="fused", device="cpu", binning=replace(self._shown.binning, tops=()), trains=True,
            seconds=60.0,
        )  # fmt: skip
        tick = mirror.recording.tick if mirror.recording is not None and not fresh else 0
        drawn = self._drawing.draw(row, None, 0, mirror.net)
        experiment = replace(self._shown.experiment, config=replace(config, epochs=2000))
        new = NewRun(0, experiment, dict(self._shown.ceilings), inputs=self._drawing.inputs)
        shown = None if drawn is not None and drawn.key == mirror.drawn else drawn
        self._arrived(Frame(status, new if fresh else None, self._shown.update_since(tick), shown))

    def send(self, command: Command) -> None:
        """Ignore it: nothing trains."""

    def close(self) -> None:
        """Nothing is held."""


def recording() -> Recording:
    """Read the committed recording."""
    return load(str(RECORDING), history_bytes=1 << 28)


def app_of(player: Player, marker: str) -> IbtuiApp:
    """Return the screen over a player."""
    return IbtuiApp(player, WatchOptions(marker=marker))  # type: ignore[arg-type]


async def settled(app: IbtuiApp, pilot: Pilot[None], epoch: int) -> None:
    """Wait until the screen shows an epoch whole."""
    for _ in range(400):
        shown = app.mirror.representation
        status = app.mirror.status
        arrived = shown is not None and app.mirror.drawn is not None and status is not None
        if arrived and status.epoch == epoch and not any(widget.stale for widget in app.board.widgets):
            await pilot.pause(0.05)
            return
        await pilot.pause(0.02)
    raise AssertionError("the screen does not come to rest")


async def drawn(screen: Screen) -> tuple[str, str]:
    """Return a screen as text and as SVG."""
    player = Player(recording())
    player.go_to(screen.epoch)
    app = app_of(player, screen.marker)
    async with app.run_test(size=screen.size) as pilot:
        await settled(app, pilot, screen.epoch)
        await pilot.press(*screen.keys)
        await settled(app, pilot, screen.epoch)
        rows = [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]
        return "\n".join(rows) + "\n", app.export_screenshot(title="ibtui")
