"""The page of Phoenix, on the same port, started when it is first asked for."""

import asyncio
import sys
import tempfile
import threading
from contextlib import suppress
from html import escape
from importlib.metadata import version
from importlib.util import find_spec

from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import Mount, Route

from lib.errors import ResourceError, UserError

PREFIX = "/phoenix"
PHOENIX_VERSION = "13.2.0"
WAITING = """<!doctype html>
<meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>Phoenix</title>
<p>Starting Phoenix's page: about 15 seconds ...</p>
"""
FAILED = """<!doctype html>
<meta charset="utf-8"><title>Phoenix</title>
<p>{}</p>
<p><a href="./">Back to the explorer</a></p>
"""


class Phoenix:
    """Starts the other page, and passes requests on to it.

    Parameters
    ----------
    make : callable
        Called with a folder for its files; returns the guarded application and the
        server behind it. Slow.
    check : callable
        Raises a `UserError` if the page cannot be shown here.
    """

    def __init__(self, make, check):
        self._make, self.check = make, check
        self._running = self._application = None
        self._why = ""

    def describe(self):
        """Return whether it can be shown, in the types of json."""
        try:
            self.check()
        except UserError as error:
            return {"available": False, "why": str(error)}
        return {"available": True, "why": self._why}

    def routes(self):
        """Return the routes of the page."""
        return [Route(PREFIX, self._open), Mount(PREFIX, self._pass_on)]

    async def _open(self, request):
        if self._application is not None:
            return RedirectResponse("phoenix/", status_code=303)
        if self._running is None:
            try:
                self.check()
            except UserError as error:
                return HTMLResponse(FAILED.format(escape(str(error))), 503)
            self._running = asyncio.create_task(self._run())
        if self._why:
            return HTMLResponse(FAILED.format(escape(self._why)), 503)
        return HTMLResponse(WAITING)

    async def _run(self):
        """Start the page and keep it until it is closed."""
        try:
            with tempfile.TemporaryDirectory(prefix="session-") as folder:
                guard, server = await in_own_thread(self._make, folder)
                async with server.router.lifespan_context(server):
                    self._application = guard
                    await asyncio.Event().wait()
        except Exception as error:  # noqa: BLE001 - shown where the page was asked for
            self._why = f"Phoenix's page could not be started: {error}"

    async def _pass_on(self, scope, receive, send):
        application = self._application
        if application is None:
            application = RedirectResponse("../phoenix", status_code=303)
        await application(scope, receive, send)

    async def close(self):
        """Stop it."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running


async def in_own_thread(function, *arguments):
    """Return the result of a slow function, which does not delay the end of a session.

    The threads of asyncio are waited for at the end, those of this kind are not.
    """
    loop, future = (
        asyncio.get_running_loop(),
        asyncio.get_running_loop().create_future(),
    )

    def settle(result, error):
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def work():
        result = error = None
        try:
            result = function(*arguments)
        except Exception as caught:  # noqa: BLE001 - raised where it is waited for
            error = caught
        with suppress(RuntimeError):  # the session has ended
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, daemon=True).start()
    return await future


def check_phoenix():
    """Raise an error if this Phoenix, or this Python, cannot show the page."""
    if sys.flags.optimize:
        raise ResourceError(
            "Phoenix's page needs assertions, which PYTHONOPTIMIZE or "
            "python -O turns off: unset PYTHONOPTIMIZE"
        )
    try:
        found = version("arize-phoenix") if find_spec("phoenix") else "none"
    except ImportError:  # no such package, or one that is kept from being imported
        found = "none"
    if found != PHOENIX_VERSION:
        raise ResourceError(
            f"Phoenix's page needs arize-phoenix {PHOENIX_VERSION}, found {found} "
            "(later versions have no page of embeddings); all else works without it. "
            "Install it with all that it needs, in the folder of this project: "
            "pip install -r requirements.txt"
        )
