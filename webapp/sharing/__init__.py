"""Who a collection is shared with, in which role, and by which invitation."""
