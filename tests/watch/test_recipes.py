"""The recipes of README's section "Your own training" run as they stand, where their library is there."""

from __future__ import annotations

import os

import numpy as np
import pytest

import ibtui
from tests.test_readme import block
from tests.watch.loops import Net, read, rows

pytestmark = pytest.mark.filterwarnings("ignore")

X = np.random.RandomState(0).rand(60, 4).astype(np.float32)
Y = (X[:, 0] > 0.5).astype(np.int64)


def recipe(name: str, **names: object) -> None:
    code = block(f"recipe: {name}" if name != "watch" else name)
    assert name == "watch" or sum(bool(line.strip()) for line in code.splitlines()) < 10
    exec(code, {"ibtui": ibtui, "x": X, "y": Y, **names})


def test_the_three_lines():
    net = Net()
    recipe("watch", net=net, x=net.x, y=net.y, train_one_epoch=net.train, loss=1.0, accuracy=0.5)
    found = rows("mlp.ibtui")
    assert [row.epoch for row in found] == list(range(0, 2001, 10))
    assert found[1].scalars == {"loss": 1.0, "test_accuracy": 0.5}


@pytest.mark.frameworks
def test_jax():
    jnp = pytest.importorskip("jax.numpy")

    def train_one_epoch(params):
        return params * 1.01, jnp.abs(params).sum()

    recipe(
        "jax", params=jnp.ones((4, 2)), loss=0.0, train_one_epoch=train_one_epoch, x=jnp.asarray(X),
        layers=lambda params, x: {"out": jnp.tanh(x @ params)},
    )  # fmt: skip
    assert [row.epoch for row in rows("jax.ibtui")] == list(range(101))


@pytest.mark.frameworks
def test_lightning(monkeypatch, tmp_path):
    lightning = pytest.importorskip("lightning")
    torch = pytest.importorskip("torch")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, _):
            loss = torch.nn.functional.cross_entropy(self(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    loader = torch.utils.data.DataLoader(data, 20)
    recipe("lightning", lightning=lightning, module=Module(), loader=loader)
    stream, found = read("lightning.ibtui")
    assert [row.epoch for row in found] == list(range(21)) and "loss" in found[-1].scalars
    assert [layer.name for layer in stream.net.layers] == ["net.1", "output"]


@pytest.mark.frameworks
def test_transformers(monkeypatch):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16,
    )  # fmt: skip
    model = transformers.BertForSequenceClassification(config)
    token_ids = np.random.RandomState(0).randint(0, 20, (40, 6))
    labels = (token_ids[:, 0] > 10).astype(int)
    data = [{"input_ids": torch.tensor(t), "labels": int(y)} for t, y in zip(token_ids, labels, strict=True)]
    arguments = transformers.TrainingArguments(
        "out", num_train_epochs=3, report_to=[], logging_strategy="epoch", save_strategy="no", use_cpu=True
    )
    recipe(
        "transformers", transformers=transformers, model=model, token_ids=token_ids, labels=labels, data=data,
        arguments=arguments,
    )  # fmt: skip
    stream, found = read("bert.ibtui")
    assert [row.epoch for row in found] == [0, 1, 2, 3]
    assert [layer.name for layer in stream.net.layers] == ["bert.encoder.layer.0", "bert.pooler"]


@pytest.mark.frameworks
def test_keras(monkeypatch):
    monkeypatch.setitem(os.environ, "KERAS_BACKEND", "torch")
    pytest.importorskip("torch")
    keras = pytest.importorskip("keras")
    model = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(2, "softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    recipe("keras", keras=keras, model=model)
    stream, found = read("keras.ibtui")
    assert [row.epoch for row in found] == list(range(21))
    assert found[-1].scalars.keys() == {"loss", "accuracy"} and len(stream.net.layers) == 2
