"""Modules of PyTorch that are compiled, or trained by several processes, are looked through."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import ibtui
from tests.watch.distributed import EPOCHS, data, net_of
from tests.watch.loops import read, rows
from tests.watch.test_frameworks import train_torch

torch = pytest.importorskip("torch")

# Warnings are the compiler's, of its own code.
pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]

X, Y = data()


def whole(backend: str):
    return torch.compile(net_of(torch), backend=backend)


def in_place(backend: str):
    net = net_of(torch)
    net.compile(backend=backend)
    return net


def in_part(backend: str):
    """A net whose middle is compiled, as is done where the rest of it cannot be."""
    net = net_of(torch)
    net[2] = torch.compile(net[2], backend=backend)
    return net


def train(net, epochs) -> list[np.ndarray]:
    torch.manual_seed(1)
    return train_torch(torch, net, epochs, X, Y)


@pytest.fixture
def compiled_once() -> Iterator[None]:
    """Let whatever would be compiled a second time raise."""
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        yield


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kind", "backend"),
    [(whole, "eager"), (in_place, "eager"), (in_part, "eager"),
     pytest.param(whole, "inductor", marks=pytest.mark.slow)],
)  # fmt: skip
def test_a_compiled_net_trains_equally_to_the_bit(kind, backend, compiled_once):
    before = train(kind(backend), range(EPOCHS))
    torch._dynamo.reset()
    net = kind(backend)
    with ibtui.watch(net, X, Y, every=1, name="net") as run:
        after = train(net, run.epochs(EPOCHS))
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    stream, found = read("net.ibtui")
    assert [row.epoch for row in found] == list(range(EPOCHS + 1))
    assert [layer.name for layer in stream.net.layers] == ["2", "output"]
    plain = net_of(torch).eval()
    plain.load_state_dict({name.replace("_orig_mod.", ""): value for name, value in net.state_dict().items()})
    x = torch.from_numpy(X)
    assert (found[-1].activations[0] == plain[:3](x).detach().numpy()).all()
    assert (found[-1].activations[1] == plain(x).detach().numpy()).all()
    assert not any(module._forward_hooks for module in net.modules())


def job(kind: str, tmp_path: Path) -> tuple[list[str], list[dict[str, np.ndarray]]]:
    """Train in two processes; return what each printed, and its weights."""
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    outs = [tmp_path / f"{kind}{rank}.npz" for rank in range(2)]
    command = [sys.executable, "-m", "tests.watch.distributed"]
    children = [
        subprocess.Popen(
            [*command, str(rank), "2", str(tmp_path / f"meeting-{kind}"), str(out), kind],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )
        for rank, out in enumerate(outs)
    ]  # fmt: skip
    told = []
    try:
        for child in children:
            out, err = child.communicate(timeout=150)
            assert child.returncode == 0, err
            told.append(out)
    finally:
        for child in children:
            child.kill()
    return told, [dict(np.load(out)) for out in outs]


@pytest.mark.timeout(300)
def test_a_job_of_two_processes_is_watched_in_its_first_one(tmp_path):
    _, alone = job("alone", tmp_path)
    told, watched = job("watch", tmp_path)
    for before, after in zip(alone, watched, strict=True):
        assert before.keys() == after.keys() and all((before[k] == after[k]).all() for k in before)
    assert told == [f"{Path('job.ibtui').absolute()} True\n", "None True\n"]
    assert [path.name for path in Path().glob("*.ibtui")] == ["job.ibtui"]
    stream, found = read("job.ibtui")
    assert [row.epoch for row in found] == list(range(EPOCHS + 1)) and stream.ended == ""
    assert [layer.name for layer in stream.net.layers] == ["2", "output"]
    net = net_of(torch).eval()
    state = zip(net.state_dict(), watched[0].values(), strict=True)
    net.load_state_dict({name: torch.from_numpy(value) for name, value in state})
    assert (rows("job.ibtui")[-1].activations[1] == net(torch.from_numpy(X)).detach().numpy()).all()
