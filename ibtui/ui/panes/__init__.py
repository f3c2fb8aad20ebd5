"""What the screen is made of: one pane per file, on a common `pane.Pane`."""
