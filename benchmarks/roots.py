"""Folders that programs take for a whole machine: an empty Debian made by debootstrap, entered by chroot.

A stand-in for a container engine where there is none: a program in a root has mounts, process numbers and 64 MB
of shared memory of its own, sees nothing of this machine's files but what is mounted for it, and is process 1,
as in a container. Linux, root's rights and util-linux are needed.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.client import Refused

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
SHARED_MEMORY = "64m"
"""What Docker gives."""
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BUILT_ON = ("ca-certificates", "netbase", "tzdata", "python3", "python3-venv")
"""What python:…-slim has beside Debian's smallest set; its Python is compiled, ours is the distribution's."""
OF_MACHINE = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True, kw_only=True)
class Mount:
    """Something of this machine that a root sees.

    Attributes:
        source: a file or folder here.
        place: where the root sees it.
    """

    source: Path
    place: Path
    writable: bool = False


@dataclass(frozen=True, kw_only=True)
class Root:
    """One root, and how programs are started in it.

    Attributes:
        folder: where it lies.
        environment, user, place: what its programs begin with: variables, who they are, working folder.
        mounts: what they see of this machine.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(OF_MACHINE))
    user: str = "root"
    place: str = "/"
    mounts: Sequence[Mount] = ()

    def command(self, words: Sequence[str]) -> list[str]:
        """Return what runs `words` in the root, as process 1 of its own numbering."""
        entered = ["chroot", f"--userspec={self.user}", str(self.folder), "/usr/bin/env", "--chdir", self.place, *words]
        said = "\n".join(["set -e", *self._mounted(), f"exec {shlex.join(entered)}"])
        return ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL",
                "/bin/sh", "-c", said]

    def start(self, words: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a program; it dies with this one."""
        tether = Path(__file__).parents[1] / "workers" / "tether.py"
        with log.open("ab") as stream:
            return subprocess.Popen(
                [sys.executable, str(tether), str(os.getpid()), *self.command(words)], env=self._variables(),
                stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)

    def ask(self, words: Sequence[str], timeout_seconds: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, as ``docker exec`` would; return what it said and its exit code."""
        return subprocess.run(self.command(words), env=self._variables(), stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=timeout_seconds, check=False)

    def do(self, words: Sequence[str]) -> str:
        """Run a program to its end; return what it said.

        Raises:
            Refused: it failed.
        """
        done = self.ask(words)
        if done.returncode:
            raise Refused(f"{shlex.join(words)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
        return done.stdout

    def copy(self, folder: Path) -> Root:
        """Return the same, in another folder: one more layer begins."""
        subprocess.run(["cp", "--archive", "--reflink=auto", self.folder, folder], check=True)
        return replace(self, folder=folder)

    def megabytes(self) -> float:
        """Return what it takes on disk."""
        said = subprocess.run(["du", "--summarize", "--block-size=1", "--one-file-system", self.folder], check=True,
                              capture_output=True, text=True).stdout
        return int(said.split()[0]) / 1e6

    def _variables(self) -> dict[str, str]:
        home = "/root" if self.user == "root" else f"/home/{self.user}"
        return {"HOME": home, **self.environment}

    def _mounted(self) -> list[str]:
        """Return the shell lines that mount what the root sees."""
        inside, quoted = self.folder, shlex.quote
        lines = [f"mount -t proc proc {quoted(str(inside / 'proc'))}",
                 f"mount -t tmpfs -o mode=755,size=1m tmpfs {quoted(str(inside / 'dev'))}"]
        for name in DEVICES:
            there = quoted(str(inside / "dev" / name))
            lines.append(f"touch {there}; mount --bind /dev/{name} {there}")
        lines += [f"ln -s /proc/self/fd/{number} {quoted(str(inside / 'dev' / name))}"
                  for number, name in enumerate(("stdin", "stdout", "stderr"))]
        shared = quoted(str(inside / "dev" / "shm"))
        lines += [f"ln -s /proc/self/fd {quoted(str(inside / 'dev' / 'fd'))}",
                  f"mkdir {shared}; mount -t tmpfs -o mode=1777,size={SHARED_MEMORY} tmpfs {shared}"]
        for one in self.mounts:
            here, there = quoted(str(one.source)), quoted(str(inside / one.place.relative_to("/")))
            made = f"mkdir -p {there}" if one.source.is_dir() else f"mkdir -p $(dirname {there}); touch {there}"
            lines.append(f"test -e {there} || {{ {made}; }}; mount --bind {here} {there}")
            if not one.writable:
                lines.append(f"mount -o remount,bind,ro {there}")
        return lines


def ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """Ask process 1 of a root to stop, as an engine would; `process` is `unshare`, which waits for it."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for number in children.read_text().split() if process.poll() is None else []:
        os.kill(int(number), signal.SIGTERM)


def wait_for_end(process: subprocess.Popen[bytes], patience_seconds: float) -> int | None:
    """Return the exit code of what was asked to end; None where it had to be killed."""
    try:
        return process.wait(patience_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def debian(folder: Path, suite: str, tools: Path) -> Root:
    """Make a root of Debian's smallest set and Python, where python:…-slim has both.

    Args:
        folder: to be made.
        suite: Debian's code name.
        tools: a folder that keeps debootstrap where the machine has none.

    Raises:
        Refused: debootstrap failed.
    """
    mirror = next(line.split(":", 1)[1].strip().split()[0] if line.startswith("URIs:") else line.split()[1]
                  for line in _sources() if line.startswith(("URIs:", "deb http")))
    program, surroundings = _debootstrap(tools)
    made = subprocess.run([*program, "--variant=minbase", f"--include={','.join(BUILT_ON)}", suite, folder, mirror],
                          env=surroundings, capture_output=True, text=True, check=False)
    if made.returncode:
        raise Refused(f"debootstrap ended with {made.returncode}:\n{(made.stdout + made.stderr)[-2000:]}")
    root = Root(folder=folder)
    root.do(["python3", "-m", "venv", "/usr/local"])  # the image has python and pip there, and packages below it
    shutil.rmtree(folder / "var" / "cache" / "apt", ignore_errors=True)
    return root


def _sources() -> list[str]:
    """Return the lines that name this machine's mirrors."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.sources"))]
    return [line for file in files if file.exists() for line in file.read_text().splitlines()]


def _debootstrap(tools: Path) -> tuple[list[str], dict[str, str]]:
    """Return debootstrap and its environment: the machine's, else one out of its package, installed nowhere."""
    found = shutil.which("debootstrap")
    if found:
        return [found], dict(os.environ)
    tools.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", "debootstrap"], cwd=tools, check=True, capture_output=True)
    subprocess.run(["dpkg-deb", "--extract", next(tools.glob("debootstrap_*.deb")), tools], check=True)
    return (["/bin/sh", str(tools / "usr/sbin/debootstrap")],
            {**os.environ, "DEBOOTSTRAP_DIR": str(tools / "usr/share/debootstrap")})


def doors_to_packages(folder: Path) -> list[Mount]:
    """Return what lets apt and pip in a root reach the packages that they reach here: settings, folders, certificates.

    Args:
        folder: keeps pip's settings, as they stand in this machine's files and environment together.
    """
    settings, places = pip_settings()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pip.conf").write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))
    mounts = [Mount(source=folder / "pip.conf", place=Path("/etc/pip.conf")),
              Mount(source=Path("/etc/resolv.conf").resolve(), place=Path("/etc/resolv.conf"))]
    mounts += [Mount(source=Path("/etc/apt") / name, place=Path("/etc/apt") / name)
               for name in ("apt.conf.d", "auth.conf.d", "sources.list", "sources.list.d", "trusted.gpg.d")
               if (Path("/etc/apt") / name).exists()]
    certificates = [CERTIFICATES] if CERTIFICATES.exists() else []
    return mounts + [Mount(source=place, place=place) for place in sorted({*places, *certificates})]


def pip_settings() -> tuple[dict[str, str], list[Path]]:
    """Return pip's settings here, and the folders and files that they name."""
    said = subprocess.run([sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True)
    settings: dict[str, str] = {}
    for line in sorted(said.stdout.splitlines()):
        name, _, value = line.partition("=")
        settings.setdefault(name.rsplit(".", 1)[-1], " ".join(str(ast.literal_eval(value)).split()))
    places = []
    for word in " ".join(settings.values()).split():
        path = Path(urllib.parse.urlsplit(word).path if word.startswith("file:") else word)
        if re.match(r"(file:/+|/)", word) and path.exists():
            places.append(path.parent if path.name == "simple" else path)  # an index names files beside itself
    return settings, places
