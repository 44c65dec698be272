"""Who changed what in a collection, and when."""
