"""People who review, as their browsers do it: the same requests, six at a time, pictures kept, pauses to think.

What a browser sends was read off a real one: the panel's page, two events as it opens, the sixty pictures of a page of
answers, one event for each thing that a person does, and every five seconds a question whether others did something,
which leads to one more event. An event is timed from its request to its answer in the event stream. Scripts
and styles are fetched on the first visit.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.stopwatch import Stopwatch, Wrong

THINK_SECONDS = (0.5, 2.0)
"""Between two things that a person does."""
CONNECTIONS, FOR_PICTURES = 6, 4
"""What browsers open to one server at a time, and how many of them pictures take while events wait for answers."""
PICTURES_IN_VIEW = 60
TICK_SECONDS = 5.0
LIVE_SECONDS = 1.5
ROUNDS_A_VISIT = 12
NUM_CLASSES = 10
PATIENCE_SECONDS = 60.0
PASSWORD = "a long sentence is a password"  # noqa: S105


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

    def __init__(self, base: str, name: str, desk: Desk, watch: Stopwatch) -> None:
        self._name, self._desk, self._watch = name, desk, watch
        self._random = random.Random(name)
        self._kept: set[str] = set()
        self._free = asyncio.Semaphore(FOR_PICTURES)
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        self._browser = httpx.AsyncClient(base_url=base, limits=limits, timeout=PATIENCE_SECONDS, trust_env=False,
                                          verify=False, headers={"Accept": "text/html"})  # noqa: S501 - plain http
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
        async with self._browser:
            await self.sign_in()
            told = (await self._send("GET", "/panel/config")).json()
        return {re.sub(r"_\d+$", "", one["api_name"]): one["id"] for one in reversed(told["dependencies"])}

    async def work(self, until: float) -> None:
        """Do what reviewers do, in an order of their own, until a time of `time.monotonic`."""
        async with self._browser:
            while time.monotonic() < until:
                for doing in self._random.sample((self._look_at_wall, self._look_at_run, self._review), 3):
                    if time.monotonic() < until:
                        await doing()

    async def _look_at_wall(self) -> None:
        """Look through the collection's pictures, here and there."""
        place = f"/collections/{self._desk.collection}/images/"
        await self._pictures(await self._get("wall", place))
        await self._think()
        for _ in range(2):
            after = self._random.randrange(self._desk.images)
            await self._pictures(await self._get("wall, next part", f"{place}wall/?after={after}&show=all&find="))
            await self._think()

    async def _look_at_run(self) -> None:
        """Look at the result, then watch the run that is going on for a moment."""
        await self._get("result of a run", f"/runs/{self._desk.run}/")
        await self._think()
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
        await asyncio.gather(panel.ask("panel, open", "show"), panel.ask("panel, open", "show"))
        await self._pictures(panel.answers)
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
        elif kind < 0.3:
            await panel.ask("panel, undo", "undo")
        elif panel.images:
            image = self._random.choice(panel.images)
            await panel.ask("panel, choose", "inspect", ids=[image], image_id=image)
            await self._think()
            await panel.ask("panel, correct", "correct", ids=[image],
                            class_index=self._random.randrange(NUM_CLASSES))

    async def _pictures(self, page: str) -> None:
        """Fetch what comes into view and is not kept, six at a time."""
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


class Panel:
    """The review panel in one tab: what it shows, and the events that it sends."""

    def __init__(self, browser: httpx.AsyncClient, own: Mapping[str, str], desk: Desk, watch: Stopwatch) -> None:
        self._browser, self._own, self._desk, self._watch = browser, own, desk, watch
        self._session = secrets.token_hex(6)
        self._version = ""
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._early: dict[str, dict[str, Any]] = {}
        self._stream: asyncio.Task[None] | None = None
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
                said = await self._answer(body)
            except httpx.TransportError as error:
                raise Wrong(f"{type(error).__name__} {error}") from error
            if not said.get("success"):
                raise Wrong(f"Gradio says {said.get('output')}")
            if event != "inspect":
                self._take(said["output"]["data"])

    async def _answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the message in which Gradio answers an event."""
        joined = await self._browser.post(f"/panel/gradio_api/queue/join?run={self._desk.run}", json=body,
                                          headers=self._own)
        if joined.status_code != 200:
            raise Wrong(f"joining was answered {joined.status_code}")
        number = joined.json()["event_id"]
        if number in self._early:
            return self._early.pop(number)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        if self._stream is None or self._stream.done():
            self._stream = asyncio.create_task(self._read())
        return await asyncio.wait_for(self._waiting[number], PATIENCE_SECONDS)

    async def _read(self) -> None:
        """Read the session's one stream while answers are awaited; the server closes it when it has none to give."""
        while self._waiting:
            path = f"/panel/gradio_api/queue/data?session_hash={self._session}"
            try:
                async with self._browser.stream("GET", path) as stream:
                    async for line in stream.aiter_lines():
                        if line.startswith("data: "):
                            self._hear(json.loads(line.removeprefix("data: ")))
            except httpx.TransportError as error:
                for one in self._waiting.values():
                    one.set_exception(Wrong(f"the stream: {type(error).__name__} {error}"))
                self._waiting.clear()

    def _hear(self, message: dict[str, Any]) -> None:
        """Hand an answer to whoever awaits it; some come before the answer to the request that asked for them."""
        if message.get("msg") == "process_completed":
            awaited = self._waiting.pop(message["event_id"], None)
            if awaited is None:
                self._early[message["event_id"]] = message
            elif not awaited.done():
                awaited.set_result(message)

    def _take(self, screen: list[Any]) -> None:
        """Show what an answer holds; what it leaves as it is, is no text."""
        if isinstance(screen[1], str):
            self.answers = screen[1]
        if isinstance(screen[-1], str):
            self._version = screen[-1]
