"""The one training loop and its parts: rates, averages, checkpoints, precision."""
