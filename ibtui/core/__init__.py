"""Pure functions on arrays: seeded draws, the forward pass, and everything that is measured.

Nothing in here knows of engines, recordings or screens. Almost all import NumPy; the JIT
compiler (Numba) is imported when something that needs it is first called.
"""
