"""Every key: what it does, in the words of the help screen, and what the footer says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from textual.binding import Binding

from ibtui.errors import UsageError, printable
from ibtui.ui.footer import Hint
from ibtui.ui.panes import OWN, Panes

Group = Binding.Group
T_BINS, X_BINS, PAST, PACE = Group("T bins"), Group("X bins"), Group("past"), Group("pace")

_ANYWHERE = ("suspend",)
"""Actions of keys that dialogs and the help do not take for themselves."""


def _key(
    key: str, action: str, label: str, tooltip: str, shown: str | None = None, group: Group | None = None
) -> Binding:
    """Make a binding; one without a label is not in the footer, all are in the help and the palette."""
    priority = action in _ANYWHERE
    return Binding(key, action, label, bool(label), shown or key, priority, tooltip=tooltip, group=group)


SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "watching": ("pause", "step", "pace", "restart", "go_on", "detach", "suspend"),
    "past": ("walk", "walk_to_first", "walk_to_now"),
    "binning": ("t_bins", "x_bins", "binning", "estimator", "cells_of_x"),
    "view": (),
    "files": ("save", "save_reference", "log_page", "leave"),
}
"""The actions of each subject of the help; those of none are of the view."""

_NAMES = {
    "pause": "pause or go on", "t_bins": "bins of T", "x_bins": "bins of X",
    "estimator": "kernel density", "cells_of_x": "cells of X", "save_reference": "save run before",
    "walk": "past", "walk_to_first": "first measurement", "walk_to_now": "present",
    "leave": "quit", "arrange": "layout", "hide": "hide pane", "show_all": "show all panes",
    "pane": "choose pane", "layer": "choose layer",
    "go_on": "continue after a crash",
    "log_page": "page of the log", "help_of_pane": "help of the pane",
}  # fmt: skip
_CHANGES = {
    "level": "excess, share", "scale": "epoch axis", "unit": "units", "points": "density", "marker": "marker",
    "plane_colour": "colour of the plane", "reference": "run before",
}  # fmt: skip

_BEST = ("pause", "walk", "t_bins", "large_pane", "change", "quantity", "save", "restart", "step", "arrange")
"""The actions that the palette has first, in this order."""


# In the order of the help screen; in the footer, the first ones are the last to make room.
_BEFORE_PANES = (
    _key("space", "pause", "pause", "Pause training, or go on; in a replay, stop or play."),
    _key("s", "step(1)", "step", "Train one epoch, then pause (a replay: one measurement on)."),
    _key("S", "step(10)", "", "Train ten epochs, then pause."),
    _key(
        "left_square_bracket",
        "t_bins(-1)",
        "T bins",
        "Fewer or wider bins for T (KDE: more noise), at all epochs.",
        "[",
        T_BINS,
    ),
    _key(
        "right_square_bracket",
        "t_bins(1)",
        "T bins",
        "More or narrower bins for T (KDE: less noise).",
        "]",
        T_BINS,
    ),
    _key("b", "binning", "binning", "Next binning: notebook, closed, adaptive, width, pooled."),
    _key("k", "estimator", "", "Estimate by kernel density, or by binning."),
    _key("x", "cells_of_x", "", "X as a grid, or each sample a symbol of its own."),
    _key("w", "save", "save", "Save a snapshot of the run up to now; none is overwritten."),
    _key("W", "save_reference", "", "Save the run before the last restart."),
    _key("left", "walk(-1)", "past", "Back to the measurement before; training goes on.", "←", PAST),
    _key("right", "walk(1)", "past", "On to the next measurement.", "→", PAST),
)
_AFTER_PANES = (
    _key("question_mark", "help", "help", "This page.", "?"),
    _key("f1", "help_of_pane", "", "Help for the chosen pane.", "F1"),
    _key("q", "leave(0)", "quit", "Quit; asks where history is not saved."),
    _key("ctrl+c", "leave(130)", "", "Quit, too.", "Ctrl-C"),
    _key(
        "enter",
        "enlarge(True)",
        "enlarge",
        "Give the chosen pane the screen; so does a double click.",
        "Enter",
    ),
    _key("escape", "enlarge(False)", "", "Back to all panes.", "Esc"),
    _key("a", "arrange", "layout", "Next layout: overview, plane first, curves."),
    _key("h", "hide", "", "Hide the chosen pane; so does the mouse's right button."),
    _key("H", "show_all", "", "Show all panes of the layout again."),
    _key("tab", "pane(1)", "pane", "Choose the next pane.", "Tab"),
    _key("shift+tab", "pane(-1)", "", "Choose the pane before.", "Shift-Tab"),
    _key("0", "layer(0)", "", "Choose a layer; more than ten are reached with Tab.", "0…9"),
    *(Binding(str(n), f"layer({n})", show=False, system=True) for n in range(1, 10)),
    _key("e", "change('level')", "excess", "Information as estimated, in excess of chance, as a share."),
    _key("l", "change('scale')", "", "Epochs along a logarithmic axis, or a linear one."),
    _key("d", "quantity", "quantity", "Dimension, participation ratio, saturation and so on."),
    _key("u", "change('unit')", "units", "Nats, or bits."),
    _key("v", "change('points')", "density", "Scatter of the samples, or density of their classes."),
    _key("minus", "pace(-1)", "pace", "Slower.", "-", PACE),
    _key("plus,equals_sign", "pace(1)", "pace", "Faster; past 1000 epochs/s there is no limit.", "+", PACE),
    _key("left_curly_bracket", "x_bins(-1)", "X bins", "Fewer bins for X.", "{", X_BINS),
    _key("right_curly_bracket", "x_bins(1)", "X bins", "More bins for X.", "}", X_BINS),
    _key(
        "r",
        "restart(0)",
        "restart",
        "Restart with the same seed; a replay: from its beginning.",
    ),
    _key("R", "restart(1)", "", "Restart with the next seed; this run stays as background."),
    _key("o", "change('reference')", "", "The run before, grey behind this one: on, off."),
    _key("m", "change('marker')", "marker", "Marker: braille, half-blocks, ASCII."),
    _key("p", "change('plane_colour')", "", "Colour the information plane by layer, or by epoch."),
    _key("home", "walk_to_first", "", "To the first measurement.", "Home"),
    _key("end", "walk_to_now", "", "Back to the present (in a replay: the last measurement).", "End"),
    _key("pageup", "log_page(-1)", "", "A page back in the log when it is enlarged.", "PgUp"),
    _key("pagedown", "log_page(1)", "", "The next page of the log.", "PgDn"),
    _key("c", "go_on", "", "After a crash: go on from the last checkpoint."),
    _key("D", "detach", "", "Let the run outlive this screen: ibtui attach."),
    _key("ctrl+z", "suspend", "", "Suspend the screen; fg brings it back, and training goes on.", "Ctrl-Z"),
    _key("ctrl+p", "command_palette", "", "All of these by name.", "Ctrl-P"),
)


def bindings(panes: Panes) -> tuple[Binding, ...]:
    """List all keys in the order of the help; `UsageError` where a pane's key is taken."""
    own: list[Binding] = []
    others: list[Binding] = []
    for name, made in panes.items():
        if (hotkey := made.declared.hotkey) is not None:
            binding = _key(hotkey.key, f"large_pane('{name}')", hotkey.label, hotkey.tooltip)
            (own if name in OWN else others).append(binding)
    found = [*_BEFORE_PANES, *own, *_AFTER_PANES]
    taken = {key for binding in found for key in binding.key.split(",")}
    for binding in others:
        if binding.key in taken or "," in binding.key:
            raise UsageError(f"--panes: the key {printable(binding.key)} is taken, or is none")
        taken.add(binding.key)
    return (*found, *others)


def named(keys: Sequence[Binding]) -> list[Binding]:
    """Return the keys that the command palette offers, those used most first."""
    offered = [b for b in keys if not b.system and b.action != "command_palette"]
    return sorted(offered, key=_rank)


def _rank(key: Binding) -> int:
    action = key.action.partition("(")[0]
    return _BEST.index(action) if action in _BEST else len(_BEST)


def name_of(key: Binding) -> str:
    """Return a key's short name, for the palette."""
    action, _, argument = key.action.partition("(")
    if action == "large_pane":
        return argument.strip("')").replace("_", " ")
    if action == "change":
        return _CHANGES.get(argument.strip("')"), argument.strip("')"))
    suffix = {"walk(-1)": ", back", "walk(1)": ", on", "t_bins(-1)": ", fewer", "t_bins(1)": ", more",
              "x_bins(-1)": ", fewer", "x_bins(1)": ", more", "pace(-1)": ", slower", "pace(1)": ", faster",
              "step(10)": " ten epochs", "restart(1)": ", next seed", "enlarge(False)": ", back",
              "pane(-1)": ", back", "leave(130)": " at once"}  # fmt: skip
    return _NAMES.get(action, action) + suffix.get(key.action, "")


def entries(keys: Sequence[Binding]) -> list[tuple[str, str]]:
    """Return what the help screen says of each key, by subject; a subject is an entry without a key."""
    found: list[tuple[str, str]] = []
    for subject in SUBJECTS:
        inside = [b for b in keys if not b.system and subject_of(b) == subject]
        found += [("", subject), *((b.key_display or b.key, b.tooltip) for b in inside)]
    return found


def subject_of(key: Binding) -> str:
    """Return the subject under which help and palette have a key."""
    action = key.action.partition("(")[0]
    return next((subject for subject, actions in SUBJECTS.items() if action in actions), "view")


def hints(keys: Sequence[Binding]) -> Iterator[Hint]:
    """Return the keys with a label, for the footer; those of a group together, help and quit always."""
    shown = [b for b in keys if b.show]
    said: set[Group] = set()
    for place, binding in enumerate(shown):
        rank = 0 if binding.action in ("help", "leave(0)") else place + 1
        group = binding.group
        if group is None:
            yield Hint(binding.key_display or binding.key, binding.description, rank)
        elif group not in said:
            said.add(group)
            displayed = " ".join(b.key_display or b.key for b in shown if b.group == group)
            yield Hint(displayed, group.description, rank)
