"""Information: I(X;T) and I(T;Y), the level that chance alone reaches, and how T's bins are filled."""

from __future__ import annotations

from collections.abc import Mapping

from numpy.typing import ArrayLike

from ibtui.quantities import Quantity, Sample, measures


@measures(
    Quantity(
        "i_xt", "I(X;T)", unit="nats", ceiling="h_x", ceiling_label="H(X)", chance="chance_i_xt",
        rebinned=True,
        description="What layer T keeps of the input X: a plug-in estimate from binned values, or an upper "
        "bound by kernels.",
    ),
    Quantity(
        "i_ty", "I(T;Y)", unit="nats", ceiling="h_y", ceiling_label="H(Y)", chance="chance_i_ty",
        rebinned=True,
        description="What layer T tells of the label Y: a plug-in estimate from binned values, or by "
        "kernels.",
    ),
    Quantity(
        "chance_i_xt", "chance I(X;T)", unit="nats", rebinned=True,
        description="The expected value of I(X;T)'s estimate when samples are paired at random; n/a where "
        "all samples are told apart.",
    ),
    Quantity(
        "chance_i_ty", "chance I(T;Y)", unit="nats", rebinned=True,
        description="The expected value of I(T;Y)'s estimate when samples are paired at random; n/a where "
        "all samples are told apart.",
    ),
    Quantity(
        "occupancy", "occupancy", short="occ.", ceiling="1", rebinned=True,
        description="Cells in use over samples: near 1, T identifies the sample and estimates say little.",
    ),
    Quantity(
        "outside", "outside", short="out.", rebinned=True, dtype="int64",
        description="Values outside their range, counted in the nearest bin.",
    ),
    Quantity(
        "i_xt_lower", "I(X;T), lower bound", short="I(X;T) low", unit="nats", ceiling="h_x",
        ceiling_label="H(X)", rebinned=True,
        description="A lower bound of I(X;T) by kernels; n/a where values are binned.",
    ),
    Quantity(
        "i_ty_lower", "I(T;Y) of lower bounds", short="I(T;Y) low", unit="nats", ceiling="h_y",
        ceiling_label="H(Y)", rebinned=True,
        description="I(T;Y) from lower bounds by kernels; n/a where values are binned.",
    ),
)  # fmt: skip
def information(sample: Sample) -> Mapping[str, ArrayLike]:
    """Estimate with the binning in force; see `ibtui.core.binning` and `ibtui.core.kde`."""
    return sample.numbers._asdict()
