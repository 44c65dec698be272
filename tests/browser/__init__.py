"""Tests that drive a real Chromium against the whole product as `manage.py up` starts it."""
