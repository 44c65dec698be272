# Two images from one file: `web` has no torch in it, `worker` has.
# `make bench-image` does these very lines in empty Debian roots and goes the way of a first user through them.
#
#   docker build --target web -t labelfree-web .
#   docker build --target worker -t labelfree-worker .
#   docker build --target worker --build-arg EXTRA_INDEX=URL -t labelfree-worker:cpu .
#
#   docker build --target web --build-arg EXTRAS=,s3 -t labelfree-web .      (and the worker, to read buckets)
#
# Without EXTRA_INDEX the worker gets the registry's torch, which on Linux is the CUDA build. With the
# address of PyTorch's CPU wheel index (its install page shows it) the worker gets the CPU build.

FROM python:3.11-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 LABELFREE_HOME=/data
# The client programs are for `manage.py backup` and `restore`; their version is that of compose.yaml's Postgres.
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 labelfree && install -d -o labelfree /data
WORKDIR /app

FROM base AS web
ENV LABELFREE_PORT=8000
ARG EXTRAS=""
COPY pyproject.toml README.md LICENSE ./
RUN mkdir core webapp workers && pip install --editable ".[web$EXTRAS]"
COPY . .
USER labelfree
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"LABELFREE_PORT\"]}/healthz', timeout=4)"]
# One process: whose panel session is whose, and guesses at passwords, are kept in its memory. The first start prints the link that makes the administrator.
# An open panel holds a stream open: without a limit to its patience the web would wait for it when told to stop.
CMD ["sh", "-c", "python manage.py migrate --noinput && python manage.py first_link && exec uvicorn webapp.config.asgi:application --host 0.0.0.0 --port $LABELFREE_PORT --workers 1 --timeout-graceful-shutdown 5"]

FROM base AS worker
ARG EXTRA_INDEX=""
ARG EXTRAS=""
COPY pyproject.toml README.md LICENSE ./
RUN mkdir core webapp workers && PIP_EXTRA_INDEX_URL="$EXTRA_INDEX" pip install --editable ".[web,worker$EXTRAS]"
COPY . .
# Weights that are fetched outlive this container; the user to whom /data belongs makes the folder.
ENV HF_HOME=/data/huggingface
USER labelfree
VOLUME /data
CMD ["python", "manage.py", "worker"]
