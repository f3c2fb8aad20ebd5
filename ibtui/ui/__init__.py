"""The live screen, on Textual: an app, its panes, and their drawing."""
