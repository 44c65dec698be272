"""What reads the Dockerfile and compose.yaml for the proof of them, and refuses what it would not do."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from benchmarks import compose, dockerfile
from benchmarks.building import BASE
from benchmarks.client import Refused

ROOT = Path(__file__).parents[2]
COMPOSE = """
services:
  web:
    build: {context: ., target: web}
    environment: {A: "${A:-one}", B: "${B}"}
    depends_on: {store: {condition: service_healthy}}
  store: {image: "redis:7", command: redis-server --save ""%s}
"""


def _read(tmp_path: Path, text: str) -> dict[str, dockerfile.Stage]:
    file = tmp_path / "Dockerfile"
    file.write_text(text)
    return dockerfile.read(file)


def test_our_own_files_are_read_whole() -> None:
    stages = dockerfile.read(ROOT / "Dockerfile")
    services = compose.read(ROOT / "compose.yaml", {"POSTGRES_PASSWORD": "a"})
    assert {service.target for service in services.values() if service.target} <= stages.keys()
    for service in services.values():
        if service.target:
            below = dockerfile.chain(stages, service.target)
            assert BASE.fullmatch(below[0].base)
            assert service.command or any(stage.command for stage in below)
            assert service.health or any(stage.health for stage in below)
            assert set(service.volumes.values()) <= {
                word for stage in below for step in stage.steps if step.word == "VOLUME" for word in step.words()}


def test_steps_and_commands_are_what_an_engine_would_do(tmp_path: Path) -> None:
    stages = _read(tmp_path, """# a comment
FROM python:3.11-slim-bookworm AS base
ENV A=1 B="two words"
RUN one && \\
    two
FROM base AS web
HEALTHCHECK --interval=10s --start-period=60s \\
    CMD ["python", "-c", "0"]
CMD python manage.py
""")
    base, web = dockerfile.chain(stages, "web")
    assert dockerfile.assignments(base.steps[0]) == {"A": "1", "B": "two words"}
    assert base.steps[1].text.split() == ["one", "&&", "two"]
    assert web.command == ["/bin/sh", "-c", "python manage.py"]
    assert web.health == dockerfile.HealthCheck(command=["python", "-c", "0"], interval_seconds=10,
                                                start_period_seconds=60)


@pytest.mark.parametrize(("line", "named"), [
    ("ENTRYPOINT a", "ENTRYPOINT"), ("ADD a b", "ADD"), ("ONBUILD RUN a", "ONBUILD"), ("FROM scratch", "scratch"),
    ("HEALTHCHECK NONE", "HEALTHCHECK"), ("HEALTHCHECK --retries=3 CMD a", "HEALTHCHECK"),
    ("# syntax=docker/dockerfile:1", "syntax"),
])
def test_an_instruction_that_is_not_known_is_refused_by_name(tmp_path: Path, line: str, named: str) -> None:
    with pytest.raises(Refused, match=named):
        _read(tmp_path, f"FROM python:3.11-slim-bookworm AS base\n{line}\n")


@pytest.mark.parametrize("text", ["--chown=a:b . .", "$FILES ."])
def test_flags_and_variables_of_a_step_are_refused(text: str) -> None:
    with pytest.raises(Refused, match="line 3"):
        dockerfile.Step(3, "COPY", text).words()


def test_the_context_leaves_out_what_is_ignored_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("# not sent\nvar\n**/__pycache__\n*.egg-info\n")
    for name in ("a.py", "core/var", "core/__pycache__/a.pyc", "__pycache__/a.pyc", "x.egg-info/a", "core/y.egg-info",
                 "var/a", "varied"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(dockerfile.context(tmp_path)) == sorted(
        map(PurePosixPath, (".dockerignore", "a.py", "core/var", "core/y.egg-info", "varied")))


def test_services_come_after_what_they_wait_for_and_variables_stand_in_their_places(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE % "")
    services = compose.read(file, {"B": "two"})
    assert list(services) == ["store", "web"]
    assert services["web"].environment == {"A": "one", "B": "two"}
    assert services["store"].command == ["redis-server", "--save", ""]


@pytest.mark.parametrize(("more", "named"), [
    (", privileged: true", "privileged"), (", healthcheck: {test: [CMD, a], retries: 3}", "retries"),
    (', environment: {A: "${MUST:?choose one}"}', "MUST: choose one"), (", stop_grace_period: 1m", "1m"),
])
def test_a_key_that_is_not_known_is_refused_by_name(tmp_path: Path, more: str, named: str) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE % more)
    with pytest.raises(Refused, match=named):
        compose.read(file, {})
