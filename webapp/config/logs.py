"""How the log is written: lines for a person, or one JSON object a line for a program (LABELFREE_LOGS=json).

Whoever may read it must not learn from it the links by which somebody signs in, joins or chooses a password.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

SECRET = re.compile(r"/(link|invitations|new-password)/[^\s\"'?#]*")
"""What stands in addresses after these words opens something."""


class WithoutSecrets(logging.Filter):
    """Leaves out of every record the part of an address that opens something."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, without its secrets."""
        said = record.getMessage()
        hidden = SECRET.sub(r"/\1/…", said)
        if hidden != said:
            record.msg, record.args = hidden, ()
        return True


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object: time, level, logger, message, and the run and the error where there are."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        said: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname, "logger": record.name, "message": record.getMessage(), "process": record.process}
        if run := getattr(record, "run", None):
            said["run"] = run
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False, default=str)
