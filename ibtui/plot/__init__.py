"""Pure drawing: arrays to cells, each with a character and an ink.

`palette` has the inks, `canvas` the cells, `dots` the finer grid within them; `raster`, `trails` and `axes`
draw on these. `scatter`, `curves`, `performance`, `plane` and `boundary` (of a net, with its `regions`) are
the screen's whole plots. The reports use `ticks` (the ticks of an axis, and how numbers and units are
written) and `labels` as well. Widths and heights are in cells, from nothing up; a box is (x0, x1, y0, y1),
the range of the axes.
"""
