"""Pure drawing: arrays to cells, each with a character and an ink.

`palette` has the inks, `canvas` the cells, `dots` the finer grid within them; `raster`, `trails` and `axes`
draw on these. `scatter`, `curves`, `performance` and `plane` are the whole plots that the screen shows. `ticks`
has the ticks of an axis and how numbers are written, for the reports too.
"""
