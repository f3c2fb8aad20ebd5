"""The bench: that every figure is there, not what it says."""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import sys
from typing import Any

import pytest

from ibtui.bench import GROUPS, groups
from ibtui.bench.child import Child, GoneError
from ibtui.bench.contenders import CONTENDERS, GPU_CONTENDERS, GPU_STEPS, Contender
from ibtui.bench.effort import Effort
from ibtui.bench.rows import Report, Row, Spread, Target, at_least, at_most, cells, significant
from ibtui.bench.running import Group, measured
from ibtui.bench.table import _WIDTH, show
from ibtui.cli import main

LEAST_ROWS = {"training": 1, "measurement": 4, "scaling": 18}
OPTIONAL = {"mxnet", "torch", "jax", "sklearn"}


def quick(group: str, said: list[str]) -> Report:
    return measured({group: groups()[group]}, Effort(rounds=2, share=0.05, say=said.append))


def table_of(report: Report) -> str:
    out = io.StringIO()
    show(report, {group: f"all of {group}" for group in dict.fromkeys(row.group for row in report.rows)}, out)
    return out.getvalue()


def test_no_word_is_cut_off_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = {
        "cpu": "a CPU",
        "cores": 2,
        "load": 0.1,
        "system": "Linux",
        "python": "3.11",
        "packages": {},
        "gpu": "",
    }
    spread = Spread(15_904.0, 15_904.0, 15_904.0, 9)
    target = at_least(spread, 2500, "the tutorials' loop")
    names = ("Gluon as in tutorials, evaluating accuracy", "Gluon, hybridised, arrays in memory")
    rows = [Row("training", n, spread, "epochs/s", spread, "nobody watching", (target,)) for n in names]
    for columns, there in ((80, 0), (_WIDTH, 1)):
        monkeypatch.setenv("COLUMNS", str(columns))
        text = table_of(Report(machine, False, rows))
        assert max(map(len, text.splitlines())) <= columns
        assert not re.search(r"\w…", text)
        assert text.count("met: at least 2,500 x the") == 2
        assert text.count("  target") == there


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "group",
    [pytest.param(name, marks=[pytest.mark.slow] if name != "measurement" else []) for name in GROUPS],
)
@pytest.mark.filterwarnings("default")
def test_every_row_is_there_and_the_json_says_the_same_as_the_table(group: str) -> None:
    said: list[str] = []
    report = quick(group, said)
    assert said
    assert not report.failed
    assert len(report.rows) >= LEAST_ROWS[group]
    plain: dict[str, Any] = json.loads(json.dumps(report.to_json()))
    names = [row.name for row in report.rows]
    assert [row["name"] for row in plain["rows"]] == names
    assert len(set(names)) == len(names)
    for row in plain["rows"]:
        assert row["group"] == group
        for spread in filter(None, (row, row["ratio"])):
            assert all(0 < spread[key] < math.inf for key in ("median", "low", "high", "repeats"))
    assert plain["quick"] is True
    table = table_of(report)
    assert report.machine["cpu"] in table
    assert all(row.name in table and cells(row)[0] in table for row in report.rows)


def test_what_is_not_installed_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OPTIONAL:
        monkeypatch.setitem(sys.modules, name, None)  # as where it is not installed
    report = quick("training", [])
    assert [row.name for row in report.rows] == ["ibtui, fused engine"]
    assert report.absent == dict.fromkeys(("mxnet", "torch", "jax"), "not installed")
    assert "left out: torch: not installed" in table_of(report)


def test_a_contender_that_fails_says_why_in_one_line() -> None:
    child = Child("nothing", "cpu")
    try:
        with pytest.raises(GoneError, match="KeyError"):
            child.ask("nothing", 1)
    finally:
        child.close()


def test_a_group_that_breaks_off_takes_no_other_with_it() -> None:
    def broken(report: Report, effort: Effort) -> None:
        raise RuntimeError("no terminal")

    def absent(report: Report, effort: Effort) -> None:
        report.absent["gluon"] = "gone"

    report = measured(
        {"broken": Group("broken", broken), "absent": Group("absent", absent)},
        Effort(rounds=1, share=0.1, say=print),
    )
    assert report.failed == {"broken": "RuntimeError: no terminal"}
    assert "broke off: broken: RuntimeError: no terminal" in table_of(report)
    assert report.absent == {"gluon": "gone"}


def test_ratios_are_taken_round_by_round() -> None:
    ratio = Spread.of_ratios([2.0, 200.0, 4.0], [1.0, 100.0, 2.0])
    assert (ratio.median, ratio.low, ratio.high, ratio.repeats) == (2.0, 2.0, 2.0, 3)


def test_a_spread_is_the_median_and_the_quartiles() -> None:
    assert Spread.of([5, 1, 2, 3, 4]) == Spread(3, 2, 4, 5)
    assert Spread.of([7]) == Spread(7, 7, 7, 1)


def test_targets_are_held_against_the_median() -> None:
    value = Spread.of([1.0, 2.0, 9.0])
    assert at_most(value, 2, "ms") == Target("at most 2 ms", True)
    assert not at_most(value, 1.9, "ms").met
    assert at_least(value, 2, "others").met
    assert not at_least(value, 2.1, "others").met


def test_what_is_no_figure_gets_into_no_table() -> None:
    with pytest.raises(ValueError, match="no figure"):
        Row("runs", "a run", Spread.of([math.nan]), "s")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01789, "0.0179"), (0.5, "0.500"), (9.999, "10.00"), (123.4, "123"), (35556.5, "35,556")],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert significant(value) == text


def test_the_command_line_knows_the_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--only", "nonsense"]) == 2
    assert "measurement" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--ctx", "auto"], "name cpu, or a GPU"),
        (["--ctx", "gpu0", "--only", "scaling"], "the groups are the CPU's"),
        (["--ctx", "gpu99"], "--ctx gpu99: "),
    ],
)
def test_a_device_that_cannot_be_measured_is_refused(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1


def test_the_card_is_named_above_its_figures() -> None:
    machine = {"cpu": "a CPU", "gpu": "NVIDIA H100 (9.0)", "cores": 2, "load": 0.1, "system": "Linux"}
    assert "NVIDIA H100 (9.0)" in table_of(Report(machine | {"python": "3.11", "packages": {}}, False))


def test_asking_for_the_bench_imports_nothing_heavy() -> None:
    code = "import sys, ibtui.bench, ibtui.bench.contenders; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert not loaded & {"numba", "mxnet", "textual", "rich", "torch", "jax", "sklearn"}


@pytest.mark.parametrize("contenders", [CONTENDERS, (*GPU_CONTENDERS, *GPU_STEPS)], ids=["cpu", "gpu"])
def test_contenders_are_told_apart(contenders: tuple[Contender, ...]) -> None:
    assert len({c.key for c in contenders}) == len({c.name for c in contenders}) == len(contenders)
