"""A live monitor, in a terminal, for the information plane of a neural net while it trains."""

__version__ = "0.1.0"
