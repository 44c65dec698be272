"""Management commands of backup."""
