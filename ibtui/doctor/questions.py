"""Questions about this machine, each for a process of its own: all that is asked about may be broken."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from ibtui.config import RunConfig
from ibtui.engines import ENGINES
from ibtui.engines.nvidia.driver import dotted, start_driver
from ibtui.engines.nvidia.libraries import LIBRARIES, preload
from ibtui.engines.probing import ask, tell
from ibtui.errors import IbtuiError, explain

Told = dict[str, Any]
"""The answers of a process of its own, merged; and `error`, its last words if it ended early."""
Answers = Iterator[dict[str, Any]]


def ask_about(about: str, device: str, ctx: str) -> Told:
    """Have a process of its own tell about something; `error` is how it ended, empty if in order."""
    answers, error = ask(
        "from ibtui.doctor.questions import answer; answer(*sys.argv[1:])", about, device, ctx
    )
    return {key: value for each in answers for key, value in each.items()} | {"error": error}


def answer(about: str, device: str, ctx: str) -> None:
    """Tell the process that asks about something; this one then ends."""
    try:
        for each in QUESTIONS[about](device, ctx):
            tell(each)
    except IbtuiError as error:
        tell({"failure": str(error)})
    os._exit(0)  # vendors' libraries that failed may fail again when the process winds up


def _about_package(name: str) -> Answers:
    module = importlib.import_module(name)
    yield {"version": module.__version__, "path": module.__path__[0]}


def _about_mxnet() -> Answers:
    from ibtui.engines.mxnet import library, variables

    yield {"impostor": library.impostor()}
    if build := library.installed():
        yield {"build": str(build), "cuda": build.cuda, "obstacle": build.obstacle}
        if wrong := variables.fault():  # importing it could take for ever
            yield {"wrong": wrong}
            return
        module = library.import_mxnet()
        yield {"version": library.version(), "path": module.__path__[0], "cuda": library.has_cuda()}


def _about_engines(device: str) -> Answers:
    """Load every engine, and have those that load say why they would not train on a GPU."""
    from ibtui.data.samples import make_dataset

    config = RunConfig()
    inputs = make_dataset(config).inputs
    yield {name: {"failure": "loading it, or one before it, ended the process"} for name in ENGINES.names}
    for name in ENGINES.names:
        try:
            kind = ENGINES[name]
        except Exception as error:
            yield {name: {"failure": explain(error)}}
            continue
        yield {name: {}}
        if device != "cpu":
            refusal = kind.refusal(config, inputs, device).removeprefix(f"--engine {name}: ")
            yield {name: {"refusal": refusal}}


def _about_libraries() -> Answers:
    found: list[dict[str, str]] = []
    for library in LIBRARIES:
        found += map(vars, preload([library]))
        yield {"found": found}


def _about_bindings() -> Answers:
    from importlib import metadata

    yield {"version": metadata.version("cuda-bindings")}
    from ibtui.engines.fused.cuda import nvrtc_version

    yield {"nvrtc": dotted(nvrtc_version())}


def _about_driver() -> Answers:
    with suppress(Exception):  # it is optional
        import pynvml

        pynvml.nvmlInit()
        yield {"version": str(pynvml.nvmlSystemGetDriverVersion())}
    driver = start_driver()
    cards = [
        {"name": str(card), "capability": card.capability, "gib": card.memory / 2**30}
        for card in driver.cards
    ]
    yield {"cuda": driver.cuda, "cards": cards}


def _about_runs() -> Answers:
    from ibtui.run import places

    yield {"folder": str(places.folder())}


def _about_run(ctx: str) -> Answers:
    """Train a little, as a run would."""
    from ibtui.run.trainer import Trainer

    trainer = Trainer(RunConfig(ctx=ctx, epochs=2, every=2, samples=40), 1 << 20)
    choice = trainer.choice
    yield {"choice": f"{choice.engine} on {choice.ctx}", "why": choice.why}
    trainer.train(2)
    trainer.close()
    yield {"engine": choice.engine}


QUESTIONS: dict[str, Callable[[str, str], Answers]] = {
    "run": lambda device, ctx: _about_run(ctx),  # the longest first
    "engines": lambda device, ctx: _about_engines(device),
    "mxnet": lambda device, ctx: _about_mxnet(),
    "libraries": lambda device, ctx: _about_libraries(),
    "bindings": lambda device, ctx: _about_bindings(),
    "runs": lambda device, ctx: _about_runs(),
    "driver": lambda device, ctx: _about_driver(),
    "numpy": lambda device, ctx: _about_package("numpy"),
    "numba": lambda device, ctx: _about_package("numba"),
}
