"""Presets: named sets of settings, which files and flags go before."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibtui.cli import main
from ibtui.config import RunConfig, build, read_toml, with_preset
from ibtui.errors import UsageError
from ibtui.presets import PRESETS


def test_every_preset_is_a_configuration() -> None:
    for name in PRESETS:
        config, _ = build({"preset": name})
        assert config == RunConfig(**PRESETS[name].settings)


def test_tishby2017_has_the_numbers_of_the_paper() -> None:
    config, _ = build({"preset": "tishby2017"})
    assert config.layers == (10, 7, 5, 4, 3, 2)
    assert (config.optimizer, config.lr, config.batch_size, config.epochs) == ("adam", 4e-4, 512, 8000)
    assert (config.data, config.split, config.measure_on, config.x) == (
        "icosahedron12", 0.8, "all", "identity",
    )  # fmt: skip
    assert (config.binning, config.t_bins, config.measure_output) == ("notebook", 29, "softmax")


def test_saxe2018_differs_from_it_in_activation_and_bins_alone() -> None:
    tishby, saxe = (PRESETS[name].settings for name in ("tishby2017", "saxe2018"))
    differing = {key for key in saxe if saxe[key] != tishby.get(key)}
    assert differing == {"activation", "binning", "t_width"}


def test_flags_go_before_a_file_that_before_a_preset_and_that_before_defaults(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('preset = "tishby2017"\nseed = 5\nlr = 0.2\n')
    values = with_preset({**read_toml(str(file)), "seed": 7})
    assert "preset" not in values
    config, _ = build(values)
    assert (config.seed, config.lr, config.epochs, config.activation) == (7, 0.2, 8000, "tanh")


@pytest.mark.parametrize("name", ["tishby", "", 3, None, ["saxe2018"]])
def test_an_unknown_preset_is_refused_by_name(name: object) -> None:
    with pytest.raises(UsageError, match=r"--preset .*no preset of that name"):
        build({"preset": name})


def test_a_file_with_an_unknown_preset_says_which_file(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('preset = "saxe"\n')
    with pytest.raises(UsageError, match=r"c\.toml: preset saxe: .*did you mean saxe2018"):
        read_toml(str(file))


def test_presets_are_listed_as_commands_that_can_be_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets"]) == 0
    told = capsys.readouterr().out
    for name in PRESETS:
        assert f"{name}: " in told
    assert max(map(len, told.splitlines())) <= 80
    assert main(["presets", "saxe2018"]) == 0
    words = capsys.readouterr().out.split("ibtui ", 1)[1].replace("\\\n", " ").split()
    typed = dict(zip(words[::2], words[1::2], strict=True))
    assert typed["--binning"] == "width"
    assert set(typed) == {"--" + key.replace("_", "-") for key in PRESETS["saxe2018"].settings}
