"""A real server of buckets on this machine: OpenStack Swift with its S3 interface, four processes on 127.0.0.1.

Objects are kept in memory (Swift's own in-memory object server: no file system with extended attributes is needed),
accounts and containers in SQLite files of a folder. It checks signatures, ETags and rights as S3 does.
"""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEY, SECRET = "museum:alice", "a-secret-that-nobody-may-see"
POOR_KEY = "museum:poor"
"""Somebody known there who may look into nothing, with the same secret."""
START_SECONDS = 120
PAGE = 4
"""Objects in one answer of the server, so that every listing has several."""
STORES = {"account": "account", "container": "container", "object": "mem_object"}
RINGS = """
import sys
from swift.common.ring import RingBuilder
for port, file in zip(sys.argv[1::2], sys.argv[2::2]):
    ring = RingBuilder(1, 1, 0)
    ring.add_dev({"region": 0, "zone": 0, "weight": 1, "ip": "127.0.0.1", "port": int(port), "device": "disk"})
    ring.rebalance()
    ring.get_ring().save(file)
"""
"""A program of its own, as Swift brings a network library with it that changes how others behave."""
PROXY = f"""[pipeline:main]
pipeline = catch_errors listing_formats s3api tempauth proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
max_bucket_listing = {PAGE}
[filter:tempauth]
use = egg:swift#tempauth
user_{KEY.replace(":", "_")} = {SECRET} .admin
user_{POOR_KEY.replace(":", "_")} = {SECRET}
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""


@dataclass(frozen=True)
class BucketServer:
    """A server that answers, and what its owner does there."""

    endpoint: str
    client: Any

    def put(self, bucket: str, objects: dict[str, bytes]) -> None:
        """Put objects into a bucket."""
        for key, content in objects.items():
            self.client.put_object(Bucket=bucket, Key=key, Body=content)


@contextmanager
def serving() -> Iterator[BucketServer]:
    """Start a server, and stop it."""
    import boto3

    folder = Path(tempfile.mkdtemp(prefix="labelfree-buckets-"))
    ports = {name: free_port() for name in (*STORES, "proxy")}
    _configure(folder, ports)
    processes = []
    try:
        for name in ports:  # Swift's module of the object server is called obj
            start = f"import sys; from swift.{name.replace('object', 'obj')}.server import main; sys.exit(main())"
            with (folder / f"{name}.log").open("w") as log:
                processes.append(subprocess.Popen([sys.executable, "-c", start, folder / f"{name}.conf", "--verbose"],
                                                  stdout=log, stderr=subprocess.STDOUT))
        for (name, port), process in zip(ports.items(), processes, strict=True):
            assert answers(port, process), f"Swift's {name} server: {(folder / f'{name}.log').read_text()[-2000:]}"
        endpoint = f"http://127.0.0.1:{ports['proxy']}"
        yield BucketServer(endpoint, boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=KEY,
                                                  aws_secret_access_key=SECRET, region_name="us-east-1"))
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)
        shutil.rmtree(folder)


def _configure(folder: Path, ports: dict[str, int]) -> None:
    """Write the rings, one disk each, and the four servers' settings."""
    (folder / "disk").mkdir()
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = tests\n"
                                       "[storage-policy:0]\nname = one\ndefault = yes\n")
    for name, port in ports.items():
        head = (f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nswift_dir = {folder}\ndevices = {folder}\n"
                f"mount_check = false\nworkers = 0\nuser = {getpass.getuser()}\n")
        store = (f"[pipeline:main]\npipeline = {name}-server\n"
                 f"[app:{name}-server]\nuse = egg:swift#{STORES.get(name)}\n")
        (folder / f"{name}.conf").write_text(head + (store if name in STORES else PROXY))
    places = [word for name in STORES for word in (str(ports[name]), folder / f"{name}.ring.gz")]
    subprocess.run([sys.executable, "-c", RINGS, *places], check=True)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Wait until a process listens on a port."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False
