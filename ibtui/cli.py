"""The command line: arguments to a configuration, and the front end that was asked for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NoReturn

from ibtui import __version__
from ibtui.config import RunConfig, WatchOptions, build, read_toml
from ibtui.errors import IbtuiError, UsageError, printable
from ibtui.output import ClosedError, standard_output
from ibtui.signals import Interrupted, Signals

if TYPE_CHECKING:
    from ibtui.run.client import WorkerClient


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status. Every foreseeable failure is one line on stderr."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    named = bool(arguments) and arguments[0] in COMMANDS
    command = COMMANDS[arguments[0]] if named else _train
    status = 0
    try:
        with standard_output():
            status = command(arguments[named:])
    except ClosedError:
        pass
    except IbtuiError as error:
        print(f"ibtui: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    return status


class _Parser(argparse.ArgumentParser):
    """One line for an error, in place of a usage text and a line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{printable(message)}; see {self.prog} --help")


def _whole(text: str) -> Any:
    """A whole number; anything else is passed on as text, for the configuration to refuse by name."""
    try:
        return int(text)
    except ValueError:
        return text


def _real(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _parser() -> _Parser:
    parser = _Parser(
        prog="ibtui",
        description="Watch the information plane of a neural net while it trains.",
        epilog="also: ibtui " + " | ".join(COMMANDS) + "; each has its own --help",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    parser.add_argument("--version", action="version", version=f"ibtui {__version__}")
    add("--ctx", metavar="auto|cpu|gpu0|…", help="device to train on")
    add(
        "--engine",
        metavar="auto|gluon|fused",
        help="MXNet Gluon, or the fused engine; auto: MXNet if it can run",
    )
    add("--epochs", type=_whole, metavar="N", help="how many in all (2000)")
    add("--every", type=_whole, metavar="N", help="epochs between measurements (10)")
    add("--layers", metavar="2,2,2,2", help="width of each layer")
    add("--activation", metavar="tanh|relu|sigmoid")
    add("--lr", type=_real, metavar="0.1", help="learning rate")
    add("--batch-size", type=_whole, metavar="10")
    add("--init-sigma", type=_real, metavar="1", help="standard deviation of the initial weights")
    add("--grid", type=_whole, metavar="2", help="cells per axis of the labelled grid")
    add("--samples", type=_whole, metavar="1000", help="half of them train, half are held out")
    add("--data-seed", type=_whole, metavar="4")
    add("--seed", type=_whole, metavar="1", help="of the initial weights and the batches' order")
    add("--x-bins", type=_whole, metavar="4")
    add("--t-bins", type=_whole, metavar="100")
    add("--binning", metavar="notebook|closed|adaptive")
    add("--config", metavar="FILE.toml", help="settings, under the names of these flags; flags go first")
    add("--resume", metavar="FILE.npz", help="go on with a recorded run, exactly")
    add("--paused", action="store_true", help="wait for a key before training")
    add("--epochs-per-second", type=_real, metavar="N", help="pace of the live screen (60; 0: none)")
    add("--history-mb", type=_whole, metavar="256", help="memory for past activations")
    add("--snapshot-dir", metavar="DIR", help="where the key w saves (here)")
    add("--autosave", type=_real, metavar="MINUTES", help="write the recording so often (with --record: 1)")
    add("--marker", metavar="auto|braille|block|ascii", help="what plots are drawn with")
    add("--detach", action="store_true", help="go on when the terminal goes; see ibtui ls, attach, stop")
    add("--record", metavar="FILE.npz", help="no screen: train and write this recording")
    add("--force", action="store_true", help="with --record: replace an existing file")
    return parser


_SCREEN_ONLY = {"paused", "detach", "snapshot_dir", "marker", "epochs_per_second"}
"""Flags of no use to --record. In a file of settings, which may serve both, they are let be."""


def _train(arguments: list[str]) -> int:
    """Train: with a live screen, or with --record without one."""
    flags = vars(_parser().parse_args(arguments))
    record_to, force = flags.pop("record", None), flags.pop("force", False)
    resume = flags.pop("resume", None)
    settings = read_toml(flags.pop("config")) if "config" in flags else {}
    settings |= flags
    if force and record_to is None:
        raise UsageError("--force: only with --record FILE.npz")
    config, session = build(settings)
    if record_to is not None and (given := [name for name in flags if name in _SCREEN_ONLY]):
        raise UsageError(f"--{given[0].replace('_', '-')}: not with --record, which has no screen")
    if resume is not None:
        from ibtui.run.resuming import resumed_config

        asked = {f.name: settings[f.name] for f in fields(RunConfig) if f.name in settings}
        config = resumed_config(resume, asked)
    if record_to is not None:
        from ibtui.record import record

        return record(config, session, record_to, force=force, resume=resume)
    if not session.detach:
        _need_terminal()
    _check_snapshot_dir(session.snapshot_dir)
    from ibtui.data import make_dataset
    from ibtui.engines.choose import choose
    from ibtui.run.client import WorkerClient
    from ibtui.run.job import new_job

    choose(config, make_dataset(config).inputs)
    job = new_job(config, session, resume=os.path.abspath(resume) if resume else None)
    if _has_terminal():
        return _watch(WorkerClient(job), session)
    with Signals() as signals:
        try:
            WorkerClient(job).spawn(signals)
        except Interrupted as stop:
            print(f"ibtui: interrupted; {job.name} was told to end", file=sys.stderr)
            return stop.status
        print(f"started {job.name}: ibtui attach {job.name} shows it, ibtui stop {job.name} ends it")
    return 0


def _check_snapshot_dir(folder: str) -> None:
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"--snapshot-dir {printable(folder)}: must be a folder that can be written to")


def _replay(arguments: list[str]) -> int:
    parser = _Parser(
        prog="ibtui replay",
        description="The live screen over a recording or a snapshot.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("file", metavar="FILE.npz")
    parser.add_argument("--epochs-per-second", type=_real, metavar="N", help="measurements per second (10)")
    parser.add_argument("--history-mb", type=_whole, metavar="256")
    parser.add_argument("--snapshot-dir", metavar="DIR")
    parser.add_argument("--marker", metavar="auto|braille|block|ascii")
    flags = vars(parser.parse_args(arguments))
    path = flags.pop("file")
    _, session = build({"epochs_per_second": 10.0} | flags)
    from ibtui.recording.files import peek

    if not peek(path).rows:
        raise UsageError(f"{printable(path)}: holds no measurements")
    _need_terminal()
    from ibtui.run.client import WorkerClient
    from ibtui.run.job import new_job

    return _watch(WorkerClient(new_job(None, session, replay=os.path.abspath(path))), session)


def _report(arguments: list[str]) -> int:
    parser = _Parser(
        prog="ibtui report",
        description="The figures of a recording in the terminal, or written as pictures and tables. "
        "Of several recordings, also the mean over runs with its standard deviation.",
        epilog="Tables have a row for each measurement and layer (JSON: the recording's own arrays), "
        "information in nats, and nan (JSON: null) where there is no number.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE.npz")
    add(
        "--out",
        action="append",
        metavar="FILE",
        help="write this .png, .svg, .pdf, .csv or .json instead of drawing; may be given more than once",
    )
    add("--force", action="store_true", help="replace existing files")
    add("--at", metavar="0,100,…", help="epochs whose layers are drawn")
    add("--t-bins", type=_whole, metavar="N", help="estimate again with so many bins per unit")
    add("--x-bins", type=_whole, metavar="N", help="… and so many per input axis")
    add("--binning", metavar="notebook|closed|adaptive", help="… and this binning")
    add("--bits", action="store_true", help="figures in bits, not in nats")
    add("--excess", action="store_true", help="figures of information less its chance level")
    add(
        "--quantity", action="append", dest="quantities", metavar="NAME",
        help="a panel for this quantity too; may be given more than once",
    )  # fmt: skip
    add(
        "--participation-ratio", action="append_const", dest="quantities", const="participation_ratio",
        help="the same as --quantity participation_ratio",
    )  # fmt: skip
    add("--marker", metavar="auto|braille|block|ascii", help="what plots are drawn with")
    flags = vars(parser.parse_args(arguments))
    from ibtui.report import BINNING, Settings, report

    marker = WatchOptions(marker=flags.pop("marker", "auto")).marker
    return report(
        flags.pop("files"),
        flags.pop("out", []),
        at=flags.pop("at", None),
        force=flags.pop("force", False),
        marker=marker,
        binning={name: flags.pop(name) for name in BINNING if name in flags},
        quantities=flags.pop("quantities", []),
        settings=Settings(**flags),
    )


def _attach(arguments: list[str]) -> int:
    parser = _Parser(prog="ibtui attach", description="Bring the screen of a run back.", allow_abbrev=False)
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="from ibtui ls; not needed where there is one run"
    )
    parser.add_argument("--marker", default="auto", metavar="auto|braille|block|ascii")
    flags = parser.parse_args(arguments)
    from ibtui.run.client import WorkerClient
    from ibtui.run.runs import find_detached

    session = WatchOptions(marker=flags.marker, detach=True)
    name = find_detached(flags.name)
    _need_terminal()
    return _watch(WorkerClient(name=name), session)


def _ls(arguments: list[str]) -> int:
    _Parser(prog="ibtui ls", description="List the runs that are there.", allow_abbrev=False).parse_args(
        arguments
    )
    from ibtui.run.runs import list_runs

    return list_runs()


def _stop(arguments: list[str]) -> int:
    parser = _Parser(prog="ibtui stop", description="End a run; it is saved first.", allow_abbrev=False)
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="from ibtui ls; not needed where there is one run"
    )
    from ibtui.run.runs import stop_run

    return stop_run(parser.parse_args(arguments).name)


def _bench(arguments: list[str]) -> int:
    from ibtui.bench import GROUPS, bench

    parser = _Parser(prog="ibtui bench", description="The speed table, on this machine.", allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--quick", action="store_true", help="rough figures: to see that everything works")
    parser.add_argument(
        "--only", action="append", default=[], choices=GROUPS, metavar="GROUP", help=", ".join(GROUPS)
    )
    flags = parser.parse_args(arguments)
    return bench(as_json=flags.json, quick=flags.quick, only=tuple(flags.only))


def _doctor(arguments: list[str]) -> int:
    parser = _Parser(
        prog="ibtui doctor",
        description="What this machine can run, and what to do about what it cannot. "
        "Exit status 0: a run with this --ctx can train.",
        allow_abbrev=False,
    )
    parser.add_argument("--ctx", default="auto", metavar="auto|cpu|gpu0|…", help="device to train on (auto)")
    from ibtui.doctor import doctor

    return doctor(parser.parse_args(arguments).ctx)


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _need_terminal() -> None:
    if not _has_terminal():
        raise UsageError("the live screen needs a terminal; without one, use --record FILE.npz")


def _watch(client: WorkerClient, session: WatchOptions) -> int:
    from ibtui.ui.live import watch

    return watch(client, session)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "replay": _replay,
    "report": _report,
    "attach": _attach,
    "ls": _ls,
    "stop": _stop,
    "bench": _bench,
    "doctor": _doctor,
}
