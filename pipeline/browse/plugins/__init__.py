"""Plug-ins, which Datasette loads one by one by their paths; they import nothing of modelwatch."""
