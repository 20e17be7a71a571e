"""An explorer in this process, asked as its page asks it."""

import asyncio

import httpx

from lib.errors import ResourceError
from lib.session.candidates import open_candidates
from lib.session.door import Door, Entrance
from lib.session.explorer import Explorer
from lib.session.launch import open_journal
from lib.session.phoenix import Phoenix
from lib.session.slices import Tomograms


def no_phoenix(*_):
    """Refuse the other page, which takes long to start."""
    raise ResourceError("there is no <b>Phoenix</b> in this test")


class Asked:
    """The page's requests; use as a context manager."""

    def __init__(self, path, *, allowed=(), enter=True, **where):
        self.said = []
        self.candidates = open_candidates(path)
        self.journal = open_journal(self.candidates)
        self.door = Door(allowed)
        explorer = Explorer(
            self.candidates,
            Tomograms(self.candidates, **where),
            self.journal,
            Phoenix(no_phoenix, no_phoenix),
            self.said.append,
        )
        self.app = Entrance(explorer.application(), self.door)
        self.cookie = f"{self.door.cookie}={self.door.token}" if enter else ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.journal.close()

    def ask(self, method, path, headers=None, **content):
        """Return the answer to a request, as an `httpx.Response`."""

        async def ask():
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            host = "http://localhost:6006"
            async with httpx.AsyncClient(transport=transport, base_url=host) as client:
                sent = {"cookie": self.cookie, **(headers or {})}
                return await client.request(method, path, headers=sent, **content)

        return asyncio.run(ask())

    def get(self, path, **headers):
        return self.ask("GET", path, headers)

    def post(self, path, body, **headers):
        return self.ask("POST", path, headers, json=body)

    def act(self, op, **values):
        """Return the state after a change."""
        answer = self.post("/api/action", {"op": op, **values})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, path, body, status=400):
        """Return the text of a refusal."""
        answer = self.post(path, body)
        assert answer.status_code == status, answer.text
        return answer.json()["error"]
