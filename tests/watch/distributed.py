"""One of several processes that train a net of PyTorch's together, watched or not.

python -m tests.watch.distributed RANK WORLD MEETING OUT watch|alone
"""

from __future__ import annotations

import contextlib
import datetime
import sys

import numpy as np

import ibtui

EPOCHS = 3


def net_of(torch):
    torch.manual_seed(3)
    nn = torch.nn
    return nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Linear(8, 3)
    )


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.RandomState(0)
    return rng.uniform(size=(60, 4)).astype(np.float32), rng.randint(0, 3, 60)


def main(rank: int, world: int, meeting: str, out: str, watched: bool) -> None:
    import torch
    from torch import distributed

    distributed.init_process_group(
        "gloo", f"file://{meeting}", datetime.timedelta(seconds=60), rank=rank, world_size=world
    )
    net = torch.nn.parallel.DistributedDataParallel(net_of(torch))
    torch.manual_seed(rank)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    x, y = data()
    mine = slice(rank, None, world)
    inputs, labels = torch.from_numpy(x[mine]), torch.from_numpy(y[mine])
    watching = ibtui.watch(net, x, y, every=1, name="job") if watched else contextlib.nullcontext()
    with watching as run:
        for _ in run.epochs(EPOCHS) if watched else range(EPOCHS):
            for batch in torch.randperm(len(inputs)).split(10):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(net(inputs[batch]), labels[batch]).backward()
                optimiser.step()
        if watched:
            print(run.path, "process" in run._gate.fixed(), flush=True)
    np.savez(out, *(value.numpy() for value in net.module.state_dict().values()))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5] == "watch")
