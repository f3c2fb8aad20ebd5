"""A pane from another package: the epoch in large words, on a key of its own."""

from ibtui.plot import palette
from ibtui.ui.line import piece, strip
from ibtui.ui.panes.pane import Drawing, Hotkey, Pane, pane


@pane(
    row=2,
    order=9,
    hotkey=Hotkey("t", "clock", "The clock, large, and back."),
    help={"Clock": "How late it is, in epochs."},
)
class Clock(Pane):
    def content_key(self, scene):
        return scene.status and scene.status.epoch

    def draw(self, scene, width, height, styles):
        epoch = scene.status.epoch if scene.status is not None else 0
        return Drawing([piece("clock")], [strip([(f"it is epoch {epoch}", palette.TEXT)], width, styles)])
