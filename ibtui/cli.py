"""The command line: from arguments to settings, and to the front end that was asked for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NoReturn

from ibtui import __version__, tty
from ibtui.config import (
    ESTIMATION,
    HEADINGS,
    KEEPING,
    RUN,
    UNITS,
    WATCHING,
    RunConfig,
    WatchOptions,
    build,
    read_toml,
    with_preset,
)
from ibtui.console import ClosedError, Interrupted, Signals, standard_output, tell_warnings
from ibtui.errors import IbtuiError, UsageError, explain, hint, printable
from ibtui.idle import idle
from ibtui.importing import importing
from ibtui.settings import checked, flag, one_of, path, setting_of, shown, wrong

if TYPE_CHECKING:
    from ibtui.registry import Registry
    from ibtui.run.job import Job


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status. Every foreseeable failure is one line on stderr."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    tty.open_closed_streams()
    tty.follow(1)
    status = 0
    tell_warnings()
    try:
        with standard_output():
            status = _run(arguments)
    except ClosedError:
        pass
    except IbtuiError as error:
        print(f"ibtui: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("IBTUI_TRACEBACK"):
            raise
        print(
            f"ibtui: a fault of ibtui's own: {explain(error)} (IBTUI_TRACEBACK=1 shows where)",
            file=sys.stderr,
        )
        return 1
    return status


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        return _train(arguments)
    name, *rest = arguments
    if name not in COMMANDS:
        raise UsageError(f"{printable(name[:60])}: no such command; {hint(name, COMMANDS)}")
    command = COMMANDS[name]
    parser = _Parser(f"ibtui {name}", command.description)
    command.add(parser)
    return command.run(vars(parser.parse_args(rest)))


class _Parser(argparse.ArgumentParser):
    """A parser whose flags derive from fields of the configuration, and whose errors are one line."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog=prog, description=description, allow_abbrev=False, argument_default=argparse.SUPPRESS
        )
        self._headings: dict[str, argparse._ArgumentGroup] = {}
        self._named: list[argparse.Action] = []
        self.commands = ""
        """Lines that end the help."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{printable(message)}; see {self.prog} --help")

    def format_help(self) -> str:
        """Add the names that are registered, which nothing but the help needs to know."""
        for action in self._named:
            registry = _registry(action.dest)
            names = (*_NAMED[action.dest], *registry.names)
            if action.dest == "data":
                from ibtui.data import described

                names = tuple(described(name) if name in registry.own else name for name in names)
            shown = printable(", ".join(names)).replace("%", "%%")
            action.help = f"{shown or 'none here'}: {action.help}"
        return super().format_help() + self.commands

    def heading(self, name: str) -> argparse._ArgumentGroup:
        if name not in self._headings:
            self._headings[name] = self.add_argument_group(name)
        return self._headings[name]

    def add_path(self, name: str, heading: str = "", **options: Any) -> None:
        """Add a flag or, where the name is no flag, an argument that is a path."""
        label = name if name[0] == "-" else options["metavar"]
        place: Any = self.heading(heading) if heading else self
        place.add_argument(name, type=lambda text: checked(label, text, path()), **options)

    def add_choice(self, name: str, choices: Sequence[str], help: str) -> None:
        """Add a flag whose value is one of these words."""
        domain = one_of(*choices)
        self.add_argument(
            name, type=lambda text: checked(name, text, domain), metavar=domain.metavar, help=help
        )

    def add_settings(self, cls: Any, **helps: str | None) -> None:
        """Add the flags of the fields of a configuration, under their headings.

        `helps`: the only fields to add, without their headings, each with its help; None: the field's own.
        """
        for field in fields(cls):
            if helps and field.name not in helps:
                continue
            setting = setting_of(field)
            place: Any = self if helps else self.heading(setting.group)
            if field.default is False:
                place.add_argument(flag(field.name), action="store_true", help=setting.help)
                continue
            action = place.add_argument(
                flag(field.name),
                type=setting.domain.parse,
                metavar=setting.metavar,
                help=helps.get(field.name) or setting.help + _default(field.default),
            )
            if field.name in _NAMED:
                self._named.append(action)


def _default(value: object) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, float):
        return f" ({value:g})"
    return f" ({shown(value)})"


def _training_parser() -> _Parser:
    parser = _Parser("ibtui", "Watch the information plane of a neural net while it trains.")
    parser.add_argument("--version", action="version", version=f"ibtui {__version__}")
    for name in HEADINGS:
        parser.heading(name)
    parser.add_settings(RunConfig)
    parser.add_path(
        "--config", RUN, metavar="FILE.toml",
        help="settings, under the names of these flags; flags take precedence",
    )  # fmt: skip
    parser.heading(RUN).add_argument(
        "--preset", metavar="NAME",
        help="settings of a paper's experiment, see ibtui presets; flags and --config take precedence",
    )  # fmt: skip
    parser.add_path("--resume", RUN, metavar="FILE.npz", help="continue a recorded run, exactly")
    parser.add_settings(WatchOptions)
    parser.add_path("--record", KEEPING, metavar="FILE.npz", help="no screen: train and write this recording")
    parser.heading(KEEPING).add_argument(
        "--force", action="store_true", help="with --record: replace an existing file"
    )
    parser.commands = "\ncommands, each with its own --help:\n" + "".join(
        f"  {name:<21} {command.summary}\n" for name, command in COMMANDS.items()
    )
    return parser


def _train(arguments: list[str]) -> int:
    """Train: with a live screen, or with --record without one."""
    flags = vars(_training_parser().parse_args(arguments))
    record_to, force = flags.pop("record", None), flags.pop("force", False)
    resume = flags.pop("resume", None)
    settings = read_toml(flags.pop("config"), _check_names) if "config" in flags else {}
    settings = with_preset(settings | flags)
    if force and record_to is None:
        raise UsageError("--force: only with --record FILE.npz")
    config, options = build(settings)
    _check_names(config, options)
    if record_to is not None:
        for field in fields(WatchOptions):
            # In a file of settings, which may serve both, these may stand.
            if field.name in flags and setting_of(field).group == WATCHING:
                raise UsageError(f"{flag(field.name)}: not with --record, which has no screen")
    if resume is not None:
        from ibtui.run.resuming import resumed_config

        asked = {f.name: settings[f.name] for f in fields(RunConfig) if f.name in settings}
        config = resumed_config(resume, asked)
    elif "samples" in settings:
        from ibtui.data.samples import check_samples

        check_samples(config)
    given = flags.keys() if record_to is not None else flags.keys() - set(ESTIMATION)
    for line in idle(config, given):
        print(f"ibtui: {line}", file=sys.stderr)
    if record_to is not None:
        from ibtui.record import record

        return record(config, options, record_to, force=force, resume=resume)
    return _train_live(config, options, os.path.abspath(resume) if resume else None)


def _train_live(config: RunConfig, options: WatchOptions, resume: str | None) -> int:
    if not (in_background := options.detach and not (sys.stdin.isatty() and sys.stdout.isatty())):
        _need_terminal()
    if not os.path.isdir(folder := options.snapshot_dir) or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"--snapshot-dir {printable(folder)}: must be a folder that can be written to")
    from ibtui.run.job import new_job

    job = new_job(config, options, resume=resume)
    if in_background:
        return _train_in_background(job)
    return _show_worker(job, lambda: _choose(config, resume))


def _train_in_background(job: Job) -> int:
    from ibtui.run.client import WorkerClient

    assert job.config is not None
    _choose(job.config, job.resume)
    with Signals() as signals:
        try:
            WorkerClient(job).spawn(signals)
        except Interrupted as stop:
            print(f"ibtui: interrupted; {job.name} was told to end", file=sys.stderr)
            return stop.status
        print(f"started {job.name}: ibtui attach {job.name} shows it, ibtui stop {job.name} ends it")
    return 0


def _choose(config: RunConfig, resume: str | None) -> None:
    """Refuse what this machine cannot train, before there is a screen."""
    from ibtui.data.samples import make_dataset
    from ibtui.engines.choose import choose
    from ibtui.recording.files import peek
    from ibtui.run.measuring import check_fits

    if resume:
        choose(config, peek(resume).inputs)
        return
    dataset = make_dataset(config)
    choice = choose(config, dataset.inputs)
    check_fits(replace(config, engine=choice.engine), dataset)


def _add_replay(parser: _Parser) -> None:
    parser.add_path("file", metavar="FILE")
    parser.add_settings(
        WatchOptions,
        epochs_per_second="measurements per second (10)", history_mb=None, snapshot_dir=None, marker=None,
        panes=None,
    )  # fmt: skip


def _replay(flags: dict[str, Any]) -> int:
    file = flags.pop("file")
    _, options = build({"epochs_per_second": 10.0} | flags)
    _check_names(None, options)
    from ibtui.recording.files import peek

    if not peek(file).rows:
        raise UsageError(f"{printable(file)}: holds no measurements")
    _need_terminal()
    from ibtui.run.job import new_job

    return _show_worker(new_job(None, options, replay=os.path.abspath(file)))


def _add_report(parser: _Parser) -> None:
    from ibtui.quantities.levels import LEVELS
    from ibtui.report.panels import AXES, PLANE_COLOURS

    parser.description = f"{parser.description} Of several recordings, also the mean and standard deviation."
    parser.epilog = (
        "Tables have a row for each measurement and layer (JSON: the recording's own arrays),\n"
        "information in nats, and nan (JSON: null) where there is no number. Of several recordings,\n"
        "rows whose file is 'mean' and 'standard deviation' (JSON: two objects of these names) follow,\n"
        "over the epochs that all have measured; the latter has n - 1 in the denominator."
    )
    add = parser.add_argument
    parser.add_path("files", nargs="+", metavar="FILE")
    parser.add_path(
        "--out", action="append", metavar="FILE",
        help="write this .png, .svg, .pdf, .csv or .json instead of drawing; may be given more than once",
    )  # fmt: skip
    add("--force", action="store_true", help="replace existing files")
    add("--at", metavar="0,100,...", help="epochs whose layers are drawn, or none")
    again = "estimate again"
    parser.add_settings(
        RunConfig,
        x=f"{again} with these cells of X",
        x_bins=f"{again} with this many bins per input",
        t_bins=f"{again} with this many bins per unit",
        binning=f"{again} with this binning",
        t_width=f"{again} with bins of this width, where the binning is width",
        estimator=f"{again} with this estimator; kde: of all samples, which may take minutes",
        kde_noise=f"{again} with this variance of kde's noise",
    )  # fmt: skip
    parser.add_choice("--units", UNITS, "unit of information in figures (that of the first recording)")
    parser.add_choice(
        "--level", LEVELS,
        "information as estimated, in excess of its chance level, or as a share of H - chance (estimate)",
    )  # fmt: skip
    parser.add_choice(
        "--axis", AXES, "scale of the epochs (log where the first recording's --every is, else linear)"
    )
    parser.add_choice("--plane-colour", PLANE_COLOURS, "what colours in the plane mean (layer)")
    add(
        "--quantity", action="append", dest="quantities", metavar="NAME",
        help="a panel for this quantity too; may be given more than once",
    )  # fmt: skip
    add(
        "--participation-ratio", action="append_const", dest="quantities", const="participation_ratio",
        help="the same as --quantity participation_ratio",
    )  # fmt: skip
    parser.add_settings(WatchOptions, marker=None)
    add("--no-pager", action="store_true", help="do not show a long report through $PAGER (or less)")


def _report(flags: dict[str, Any]) -> int:
    from ibtui.report import report

    marker = WatchOptions(marker=flags.pop("marker", "auto")).marker
    return report(
        flags.pop("files"),
        flags.pop("out", []),
        at=flags.pop("at", None),
        force=flags.pop("force", False),
        paged=not flags.pop("no_pager", False),
        marker=marker,
        binning={name: flags.pop(name) for name in ESTIMATION if name in flags},
        asked={**flags, "quantities": tuple(flags.pop("quantities", ()))},
    )


def _add_attach(parser: _Parser) -> None:
    _add_name(parser, "of a run or a watched loop, as ibtui ls lists it; default: the only one")
    parser.add_settings(
        WatchOptions, snapshot_dir="where the key w saves, of a watched loop", marker=None, panes=None
    )


def _attach(flags: dict[str, Any]) -> int:
    from ibtui.run.client import WorkerClient
    from ibtui.run.runs import find_detached, find_watched

    asked = flags.pop("name", None)
    if (stream := find_watched(asked)) is not None:
        options = WatchOptions(**flags)
        _check_names(None, options)
        _need_terminal()
        from ibtui.run.job import new_job

        return _show_worker(new_job(None, options, watch=stream))
    name = find_detached(asked)
    options = WatchOptions(detach=True, **flags)
    _check_names(None, options)
    _need_terminal()
    with importing():
        from ibtui.ui.live import show_live

    return show_live(WorkerClient(name=name), options)


def _ls(flags: dict[str, Any]) -> int:
    from ibtui.run.runs import list_runs

    return list_runs()


def _add_stop(parser: _Parser) -> None:
    _add_name(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask, although a screen shows the run")


def _stop(flags: dict[str, Any]) -> int:
    from ibtui.run.runs import stop_run

    return stop_run(flags.get("name"), yes=flags.get("yes", False))


def _add_name(
    parser: _Parser, help: str = "of a run, as ibtui ls lists it; default: the one detached run"
) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help=help)


def _add_bench(parser: _Parser) -> None:
    from ibtui.bench import GROUPS

    parser.add_argument("--json", action="store_true", default=False, help="for machines")
    parser.add_argument(
        "--quick", action="store_true", default=False, help="rough figures: to see that everything works"
    )
    parser.add_argument(
        "--only", action="append", default=[], choices=GROUPS, metavar="GROUP", help=", ".join(GROUPS)
    )
    parser.add_settings(RunConfig, ctx="a GPU, such as gpu0, for its figures instead of the CPU's (cpu)")


def _bench(flags: dict[str, Any]) -> int:
    from ibtui.bench import bench

    ctx = RunConfig(ctx=flags.get("ctx", "cpu")).ctx
    if ctx == "auto":
        raise UsageError("--ctx auto: name cpu, or a GPU such as gpu0")
    if flags["only"] and ctx != "cpu":
        raise UsageError("--only: the groups are the CPU's, and --ctx names a GPU")
    return bench(as_json=flags["json"], quick=flags["quick"], only=tuple(flags["only"]), ctx=ctx)


def _add_doctor(parser: _Parser) -> None:
    parser.description = f"{parser.description} Exit status 0: a run with this --ctx can train."
    parser.add_settings(RunConfig, ctx="device to train on (auto)")


def _doctor(flags: dict[str, Any]) -> int:
    from ibtui.doctor import doctor

    return doctor(flags.get("ctx", "auto"))


def _add_presets(parser: _Parser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="show this one alone")


def _presets(flags: dict[str, Any]) -> int:
    from ibtui.presets import PRESETS, as_lines, preset

    chosen = {name: preset(name, "") for name in [flags["name"]]} if "name" in flags else PRESETS
    print("\n\n".join("\n".join(as_lines(name, each)) for name, each in chosen.items()))
    return 0


def _add_completion(parser: _Parser) -> None:
    parser.epilog = "such as: ibtui completion bash > ~/.local/share/bash-completion/completions/ibtui"
    parser.add_argument("shell", choices=SHELLS, metavar="|".join(SHELLS))


def _completion(flags: dict[str, Any]) -> int:
    from ibtui.completion import script
    from ibtui.presets import PRESETS

    names = {field: (*_NAMED[field], *_registry(field).names) for field in _NAMED}
    parser = _training_parser()
    commands = parser.add_subparsers(title="commands")
    for name, command in COMMANDS.items():
        command.add(commands.add_parser(name, help=command.summary, description=command.description))
    print(script(parser, flags["shell"], {**names, "preset": tuple(PRESETS)}))
    return 0


@dataclass(frozen=True)
class Command:
    """A subcommand."""

    summary: str
    add: Callable[[_Parser], None]
    run: Callable[[dict[str, Any]], int]
    """Carries it out, from the arguments that were given, by name; returns the exit status."""

    @property
    def description(self) -> str:
        return f"{self.summary[0].upper()}{self.summary[1:]}."


SHELLS = ("bash", "zsh", "fish")

COMMANDS = {
    "replay": Command(
        "show the live screen over a recording, a snapshot or a watched loop's stream", _add_replay, _replay
    ),
    "report": Command(
        "draw the figures of recordings in the terminal, or write pictures and tables", _add_report, _report
    ),
    "attach": Command("show a detached run, or a training loop of your own", _add_attach, _attach),
    "ls": Command("list the runs and the watched loops that are there", lambda parser: None, _ls),
    "stop": Command("end a run, which is saved first, or a watched loop", _add_stop, _stop),
    "bench": Command("measure the speed of training and estimates, on this machine", _add_bench, _bench),
    "doctor": Command(
        "say what this machine can run, and what to do about what it cannot", _add_doctor, _doctor
    ),
    "presets": Command("list the sets of settings that --preset names", _add_presets, _presets),
    "completion": Command(
        "print the script that makes a shell complete these words", _add_completion, _completion
    ),
}


_NAMED = {"engine": ("auto",), "data": (), "quantities": (), "panes": ()}
"""The fields whose values are names of what is registered, with the names that need not be."""


def _registry(field: str) -> Registry[Any]:
    """Return what a field's names are names of, but for those that are always there."""
    if field == "engine":
        from ibtui.engines import ENGINES

        return ENGINES
    if field == "data":
        from ibtui.data import DATASETS

        return DATASETS
    from ibtui.core.names import QUANTITIES
    from ibtui.registry import Registry

    if field == "quantities":
        return Registry("quantity", "ibtui.quantities", dict.fromkeys(QUANTITIES, ""))
    return Registry("pane", "ibtui.panes", {})


def _check_names(config: RunConfig | None, options: WatchOptions) -> None:
    """Refuse names of what is not here or cannot be loaded: a file of another machine may hold them."""
    from ibtui.data import chosen, is_file, name_of

    values = vars(options) | ({} if config is None else vars(config))
    for field, always in _NAMED.items():
        names = values.get(field, ())
        for name in (names,) if isinstance(names, str) else names:
            if field == "data":
                if is_file(name):
                    continue
                name = name_of(name)
            if name in always:
                continue
            if name not in (registry := _registry(field)):
                there = " or ".join((*always, *registry.names))
                raise wrong(field, name, there or "left out: no package here brings any")
            if name not in registry.own:
                _ = registry[name]
    if config is not None and not is_file(config.data):
        chosen(config.data)


def _need_terminal() -> None:
    """Refuse to go on without a terminal that a screen can be drawn on; have it say its size itself."""
    tty.follow(tty.screen())
    if not tty.in_foreground():
        print(
            "ibtui: another command has the terminal: fg brings ibtui back (timeout needs --foreground)",
            file=sys.stderr, flush=True,
        )  # fmt: skip


def _show_worker(job: Job, check: Callable[[], None] = lambda: None) -> int:
    """Show a job's worker, which starts while this process checks that it can run, and imports the screen."""
    from ibtui.run.process import started

    with Signals() as signals:
        try:
            with importing(), started(job) as process:
                signals.break_off_at(1)
                check()
                from ibtui.run.client import WorkerClient
                from ibtui.ui.live import show_live

                signals.break_off_at(0)
                if signals.status:
                    raise Interrupted(signals.status)
        except Interrupted as stop:
            return stop.status
        return show_live(WorkerClient(job, process=process), job.options, lambda: signals.status)
