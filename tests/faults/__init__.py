"""What goes wrong on a shared box, brought about on purpose, and what was lost by it."""
