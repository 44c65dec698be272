"""Management commands that start processes."""
