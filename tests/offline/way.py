"""The main job from the first start to the model package, through the public API and the pages, in one process tree.

A program of `test_offline`, which runs it in a network namespace that has nothing but its own loopback.
"""

from __future__ import annotations

import fcntl
import io
import socket
import struct
import sys
import urllib.request
import zipfile
from http.cookiejar import CookieJar
from pathlib import Path

SET_FLAGS, UP = 0x8914, 1


def raise_loopback() -> None:
    """Switch on the namespace's own loopback, the only device it has."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh", b"lo", UP))


def main(digits: Path) -> None:
    raise_loopback()
    from benchmarks import app as house
    from benchmarks import demo

    house.START_LIMIT_SECONDS = 600  # a machine that measures beside the tests starts slowly
    files = sorted(digits.iterdir())
    with house.running("demo", 1200) as app:
        archive = app.home / "digits.zip"
        with zipfile.ZipFile(archive, "w") as package:
            for file in files:
                package.write(file, file.name)
        collection = app.api.send_images("Digits", archive, len(files), mirror=False)
        demo.ask_question(app.api, collection, {files[0].name: "zero"})
        asked = app.api.post(f"/api/v1/collections/{collection}/runs", {"method": "zeroshot"})
        run = app.api.watch("zeroshot", asked["id"])
        taken = io.BytesIO(app.api.download(f"/api/v1/runs/{run['id']}/package"))
        assert zipfile.is_zipfile(taken)
        browser = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                              urllib.request.HTTPCookieProcessor(CookieJar()))
        browser.open(demo.link_to(run).replace("localhost", "127.0.0.1"), timeout=100)
        for page in ("/", f"/collections/{collection}/images/", f"/runs/{run['id']}/", f"/runs/{run['id']}/review/",
                     f"/panel/?run={run['id']}", "/panel/config"):
            assert browser.open(f"{app.api.base}{page}", timeout=100).status == 200, page
    print("the whole way")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
