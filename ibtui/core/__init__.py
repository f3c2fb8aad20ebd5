"""Pure functions on arrays: the data set, seeded draws, the forward pass, and everything that is measured.

Nothing in here knows of engines, recordings or screens. NumPy is imported at once, the JIT compiler (Numba)
only when something that needs it is first called.
"""
