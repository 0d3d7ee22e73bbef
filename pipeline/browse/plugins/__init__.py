"""What Datasette loads beside its own: each module by its path, and none of them imports this program."""
