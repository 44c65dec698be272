"""The process of one attempt: ``python -m workers.child RUN TOKEN PIPE PARENT``, started by `workers.spawn`.

It dies with its parent. Whatever happens to it, the parent lives on and says so on the row.
"""

from __future__ import annotations

import os
import sys

import django

from workers.priority import give_way
from workers.tether import tie


def main(arguments: list[str]) -> None:
    """Do one attempt and tell the parent how it ended; the traceback of an error goes to the run's output."""
    run_id, token, pipe_descriptor, parent = arguments
    tie(int(parent))  # before what is slow to load
    give_way()
    django.setup()
    from workers.attempt import attempt, words_for
    from workers.lease import Lease
    from workers.surroundings import Pipe

    pipe = Pipe(int(pipe_descriptor))
    try:
        attempt(Lease(int(run_id), token), pipe)
    except BaseException as error:
        pipe.say(**words_for(error))
        raise
    pipe.say(succeeded=True)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.config.settings")
    main(sys.argv[1:])
