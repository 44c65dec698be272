"""Settings under a name, method by method, and the table of them."""
