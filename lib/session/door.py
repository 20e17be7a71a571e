"""Access control of the interactive page: only the user who started it may use it.

Everybody who is logged in to the machine can connect to its loopback interface, and
every web site that the user has open can make the browser send requests there. The link
in the terminal carries a random token, which is exchanged for a cookie. A request with
neither gets no answer.
"""

import hashlib
import hmac
import ipaddress
import re
import secrets
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse, RedirectResponse

TOKEN_BYTES = 24
KNOCK = (
    "Only the user who started this session can use it: open the link, with its "
    "token, that the terminal shows.\n"
)


# Of the explorer: nothing from elsewhere, no script or style within a page.
PAGE_POLICY = (
    b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    b"frame-ancestors 'none'; form-action 'self'"
)
POLICY_HEADER = b"content-security-policy"
# A later session on this port shows another table: nothing is shown from the memory of
# the browser unasked.
DEFAULTS = {POLICY_HEADER: PAGE_POLICY, b"cache-control": b"no-cache"}


class Door:
    """Accepts requests of the page itself with the token or the cookie of a session.

    Attributes
    ----------
    token : str
        New for each session.
    query : str
        End of the link to the page.
    cookie : str
        Name of the cookie. A browser sends cookies to every port of a host, so each
        session has its own name.
    allowed : frozenset of str
        Names of proxies in front of this session, lower case.
    """

    def __init__(self, allowed=()):
        self.allowed = frozenset(name.lower() for name in allowed)
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self.query = f"?token={self.token}"
        digest = hashlib.sha256(self.token.encode()).hexdigest()
        self.cookie = f"session-{digest[:12]}"

    def check(self, scope):
        """Return the response to a rejected request, or None.

        The link of the terminal gets the cookie and a redirect to the page without the
        token, so that nobody copies the token from the address.
        """
        if foreign := check_origin(scope, self.allowed):
            return foreign
        asked = parse_qs(scope["query_string"].decode("latin-1"))
        by_link = scope["method"] in ("GET", "HEAD") and "token" in asked
        if not (by_link and self._opens(asked["token"][0])):
            known = self._is_known(scope)
            return None if known else PlainTextResponse(KNOCK, status_code=403)
        # Relative, and a cookie for the folder of this address: a proxy may show the
        # page below a path that this session does not know.
        page = "./" + scope["path"].rpartition("/")[2]
        response = RedirectResponse(page, status_code=303)
        response.set_cookie(
            self.cookie, self.token, path=None, httponly=True, samesite="strict"
        )
        response.headers["cache-control"] = "no-store"
        return response

    def _is_known(self, scope):
        pairs = (part.partition("=") for part in header(scope, b"cookie").split(";"))
        cookies = {name.strip(): value.strip() for name, _, value in pairs}
        return self._opens(cookies.get(self.cookie, ""))

    def _opens(self, text):
        """Compare in constant time, so that timing reveals nothing about the token."""
        return hmac.compare_digest(text.encode(), self.token.encode())


def header(scope, name):
    """Return a request header as text, empty when it is absent."""
    return dict(scope["headers"]).get(name, b"").decode("latin-1")


def check_origin(scope, allowed=frozenset()):
    """Reject a request that another web site made the user's browser send.

    The host must be a loopback name, or one that the user allowed: a foreign site could
    use another name that resolves to loopback. The origin, if the browser sends it,
    must be this page.
    """
    host = header(scope, b"host")
    name = re.sub(r":\d+$", "", host).lower()
    if not is_loopback(name) and name not in allowed:
        return PlainTextResponse(
            "unknown host; for a proxy start the session with --allow_host NAME\n",
            status_code=403,
        )
    origin = header(scope, b"origin")
    if origin and not _is_own(origin, host, allowed):
        return PlainTextResponse("foreign origin", status_code=403)
    # Another port of this machine, perhaps of another user, is the same site.
    site = header(scope, b"sec-fetch-site")
    if site in ("cross-site", "same-site") and scope["path"] != "/":
        return PlainTextResponse("foreign page", status_code=403)
    return None


def _is_own(origin, host, allowed):
    """Return whether an origin is this page, or this page behind an allowed proxy."""
    if origin in (f"http://{host}", f"https://{host}"):
        return True
    name = re.fullmatch(r"https?://([^/:@]+|\[[^/@\]]+\])(:\d+)?", origin)
    return name is not None and name[1].lower() in allowed


def is_loopback(host):
    """Return whether a host name always means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Entrance:
    """ASGI application in front of all pages: lets in who may enter.

    Parameters
    ----------
    app : ASGI application
    door : Door
    """

    def __init__(self, app, door):
        self.app, self.door = app, door

    async def __call__(self, scope, receive, send):
        """Pass one request on, or reject it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            response = self.door.check(scope)
            if "\0" in scope["path"]:  # no file system takes it
                response = PlainTextResponse("not found", status_code=404)
            await (response or self.app)(scope, receive, with_headers(send))
        else:
            await send({"type": "websocket.close", "code": 1008})


def with_headers(send):
    """Return a `send` that adds the headers of safety that an answer lacks."""

    async def send_with_headers(message):
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            for name, value in DEFAULTS.items():
                if name not in dict(headers):
                    headers.append((name, value))
            message["headers"] = [
                *headers,
                (b"x-content-type-options", b"nosniff"),
                (b"referrer-policy", b"no-referrer"),
                (b"cross-origin-resource-policy", b"same-origin"),
            ]
        await send(message)

    return send_with_headers


def with_policy(send, policy):
    """Return a `send` that sets the content policy of an answer, in place of others."""

    async def send_with_policy(message):
        if message["type"] == "http.response.start":
            headers = message.get("headers", [])
            kept = [pair for pair in headers if pair[0] != POLICY_HEADER]
            message["headers"] = [*kept, (POLICY_HEADER, policy)]
        await send(message)

    return send_with_policy
