"""People who review, as their browsers do it: the same requests, six at a time, pictures kept, pauses to think.

What a browser sends was read off a real one: the panel's page, one event as it opens, the sixty pictures of a page of
answers, one event for each thing that a person does, and every five seconds a question whether others did something,
which leads to one more event. Scripts and styles are fetched on the first visit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import random
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import httpx

from benchmarks.stopwatch import Stopwatch, Wrong

THINK_SECONDS = (1.0, 3.0)
"""Between two things that a person does to an image: fast, and without a rest."""
LOOK_SECONDS = (3.0, 9.0)
"""At a page of sixty pictures: a tenth of a second each."""
CONNECTIONS, FOR_PICTURES = 6, 4
"""What browsers open to one server at a time, and how many of them pictures take while events wait for answers."""
PICTURES_IN_VIEW = 60
TICK_SECONDS = 5.0
LIVE_SECONDS = 1.5
ROUNDS_A_VISIT = 12
NUM_CLASSES = 10
PATIENCE_SECONDS = 60.0
ANSWERS, VERSION = 1, 5
"""Where in a screen of the panel they stand; `webapp.panel.handlers.Screen`."""
PASSWORD = secrets.token_urlsafe()


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What one reviewer looks at.

    Attributes:
        collection, images: theirs, and how many images it has.
        run: its finished run.
        live_run: a run that is going on elsewhere.
        events: the panel's events by name, with their numbers.
    """

    collection: int
    images: int
    run: int
    live_run: int
    events: Mapping[str, int]


class Reviewer:
    """One person at one browser."""

    def __init__(self, base: str, name: str, desk: Desk, watch: Stopwatch,
                 cookies: Mapping[str, str] = MappingProxyType({})) -> None:
        self._name, self._desk, self._watch = name, desk, watch
        self._random = random.Random(name)
        self._kept: set[str] = set()
        self._free = asyncio.Semaphore(FOR_PICTURES)
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        self._browser = httpx.AsyncClient(base_url=base, limits=limits, timeout=PATIENCE_SECONDS, trust_env=False,
                                          headers={"Accept": "text/html"}, cookies=dict(cookies))
        self._own = {"Origin": base, "Sec-Fetch-Site": "same-origin"}

    async def sign_in(self) -> None:
        """Sign in by the form."""
        page = await self._get("sign-in page", "/sign-in/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        with self._watch.timing("sign in"):
            answer = await self._send("POST", "/sign-in/", headers=self._own, data={
                "csrfmiddlewaretoken": token[1] if token else "", "user_name": self._name, "password": PASSWORD,
                "next": "/"})
            if answer.status_code != 302:
                raise Wrong(f"answered {answer.status_code}")

    async def events(self) -> dict[str, int]:
        """Return the panel's events by name, the first of each; a browser reads them out of the page."""
        told = (await self._send("GET", "/panel/config")).json()
        return {re.sub(r"_\d+$", "", one["api_name"]): one["id"] for one in reversed(told["dependencies"])}

    async def aclose(self) -> None:
        """Close the browser."""
        await self._browser.aclose()

    async def work(self, until: float) -> None:
        """Do what reviewers do, in an order of their own, until a time of `time.monotonic`; then close the browser."""
        async with contextlib.aclosing(self):
            while time.monotonic() < until:
                await self.visit(until)

    async def visit(self, until: float = math.inf) -> None:
        """Look at the collection, at the run, and review, in some order; begin nothing after `until`."""
        for doing in self._random.sample((self._look_at_wall, self._look_at_run, self._review), 3):
            if time.monotonic() < until:
                await doing()

    async def _look_at_wall(self) -> None:
        """Look through the collection's pictures, here and there."""
        place = f"/collections/{self._desk.collection}/images/"
        await self._pictures(await self._get("wall", place))
        await self._look()
        for _ in range(2):
            after = self._random.randrange(self._desk.images)
            await self._pictures(await self._get("wall, next part", f"{place}wall/?after={after}&show=all&find="))
            await self._look()

    async def _look_at_run(self) -> None:
        """Look at the result, then watch the run that is going on for a moment."""
        await self._get("result of a run", f"/runs/{self._desk.run}/")
        await self._look()
        await self._get("run going on", f"/runs/{self._desk.live_run}/")
        for _ in range(4):
            await asyncio.sleep(LIVE_SECONDS)
            await self._get("run going on, live part", f"/runs/{self._desk.live_run}/live/")

    async def _review(self) -> None:
        """Open the panel; choose, correct, undo, turn pages, as others do the same."""
        await self._get("review page", f"/runs/{self._desk.run}/review/")
        page = await self._get("panel", f"/panel/?run={self._desk.run}")
        await asyncio.gather(*(self._keep("panel, script or style", f"/panel/{path}")
                               for path in re.findall(r'(?:src|href)="\./(assets/[^"]+)"', page)))
        panel = Panel(self._browser, self._own, self._desk, self._watch)
        await panel.ask("panel, open", "show")
        await self._pictures(panel.answers)
        await self._look()
        ticking = asyncio.create_task(panel.tick())
        for _ in range(ROUNDS_A_VISIT):
            await self._think()
            await self._do_one_thing(panel)
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)

    async def _do_one_thing(self, panel: Panel) -> None:
        """Choose an image and correct it, mostly; sometimes turn the page or take back."""
        kind = self._random.random()
        if kind < 0.15:
            panel.page = self._random.randrange(1, 10)
            await panel.ask("panel, turn page", "show")
            await self._pictures(panel.answers)
            await self._look()
        elif kind < 0.3:
            await panel.ask("panel, undo", "undo")
        elif panel.images:
            image = self._random.choice(panel.images)
            await panel.ask("panel, choose", "inspect", ids=[image], image_id=image)
            await self._think()
            await panel.ask("panel, correct", "correct", ids=[image],
                            class_index=self._random.randrange(NUM_CLASSES))

    async def _pictures(self, page: str) -> None:
        """Fetch what comes into view and is not kept, four at a time."""
        fresh = [path for path in dict.fromkeys(re.findall(r'src="(/media/thumbnails/\d+)"', page))
                 if path not in self._kept][:PICTURES_IN_VIEW]
        await asyncio.gather(*(self._keep("thumbnail", path) for path in fresh))

    async def _keep(self, kind: str, path: str) -> None:
        """Fetch something that a browser keeps for good."""
        if path not in self._kept:
            self._kept.add(path)
            async with self._free:
                await self._get(kind, path)

    async def _get(self, kind: str, path: str) -> str:
        """Return what a page holds; "" where it went wrong."""
        said = ""
        with self._watch.timing(kind):
            answer = await self._send("GET", path)
            if answer.status_code != 200:
                raise Wrong(f"answered {answer.status_code}")
            said = answer.text if answer.headers["content-type"].startswith("text/") else ""
        return said

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return await self._browser.request(method, path, **more)
        except httpx.TransportError as error:
            raise Wrong(f"{type(error).__name__} {error}") from error

    async def _think(self) -> None:
        await asyncio.sleep(self._random.uniform(*THINK_SECONDS))

    async def _look(self) -> None:
        await asyncio.sleep(self._random.uniform(*LOOK_SECONDS))


class Panel:
    """The review panel in one tab: what it shows, and the events that it sends."""

    def __init__(self, browser: httpx.AsyncClient, own: Mapping[str, str], desk: Desk, watch: Stopwatch) -> None:
        self._browser, self._own, self._desk, self._watch = browser, own, desk, watch
        self._session = secrets.token_hex(6)
        self._version = ""
        self.page = 1
        self.answers = ""

    @property
    def images(self) -> list[int]:
        """Return the images on the page of answers."""
        return [int(one) for one in re.findall(r'data-image="(\d+)"', self.answers)]

    async def tick(self) -> None:
        """Ask every few seconds whether others did something."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            with self._watch.timing("panel, what others did?"):
                try:
                    answer = await self._browser.get(f"/review/runs/{self._desk.run}/version")
                except httpx.TransportError as error:
                    raise Wrong(f"{type(error).__name__} {error}") from error
                if answer.status_code != 200:
                    raise Wrong(f"answered {answer.status_code}")
                if answer.text == self._version:
                    continue
            await self.ask("panel, show it", "refresh")

    async def ask(self, kind: str, event: str, **told: Any) -> None:
        """Send one event and take its answer."""
        command = json.dumps({"view": "answers", "page": self.page, "everything": False, "ids": [], "image_id": None,
                              **told})
        form = [command] if event == "inspect" else [command, self._version, None, "all", "Anyone",
                                                     "Least sure first", 0, 100]
        body = {"fn_index": self._desk.events[event], "session_hash": self._session, "data": form, "event_data": None}
        with self._watch.timing(kind):
            try:
                answer = await self._browser.post(f"/panel/gradio_api/run/{event}?run={self._desk.run}", json=body,
                                                  headers=self._own)
            except httpx.TransportError as error:
                raise Wrong(f"{type(error).__name__} {error}") from error
            if answer.status_code != 200:
                raise Wrong(f"answered {answer.status_code}")
            if event != "inspect":
                self._take(answer.json()["data"])

    def _take(self, screen: list[Any]) -> None:
        """Show what an answer holds; what it leaves as it is, is no text."""
        if isinstance(screen[ANSWERS], str):
            self.answers = screen[ANSWERS]
        if isinstance(screen[VERSION], str):
            self._version = screen[VERSION]
