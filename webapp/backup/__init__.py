"""A copy of everything that is stored, checked byte by byte, and the way back."""
