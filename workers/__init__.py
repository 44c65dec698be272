"""Celery tasks and the processes that run them. The row in the database is the truth, never the message."""
