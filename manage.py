"""Django's entry point: `python manage.py up` starts everything."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.config.settings")
    from django.core.management import execute_from_command_line

    from core.errors import ConfigError

    try:
        execute_from_command_line(sys.argv)
    except ConfigError as error:  # of a setting, before there is a command that could say it
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
