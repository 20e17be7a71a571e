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
    """

    def __init__(self):
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self.query = f"?token={self.token}"
        digest = hashlib.sha256(self.token.encode()).hexdigest()
        self.cookie = f"session-{digest[:12]}"

    def check(self, scope):
        """Return the response to a rejected request, or None.

        The link of the terminal gets the cookie and a redirect to the page without the
        token, so that nobody copies the token from the address.
        """
        if foreign := check_origin(scope):
            return foreign
        asked = parse_qs(scope["query_string"].decode("latin-1"))
        by_link = scope["method"] in ("GET", "HEAD") and "token" in asked
        if not (by_link and self._opens(asked["token"][0])):
            known = self._is_known(scope)
            return None if known else PlainTextResponse(KNOCK, status_code=403)
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
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


def check_origin(scope):
    """Reject a request that another web site made the user's browser send.

    The host must be a loopback name: a foreign site could use another name that
    resolves to loopback. The origin, if the browser sends it, must be this page.
    """
    host = header(scope, b"host")
    if not is_loopback(re.sub(r":\d+$", "", host)):
        return PlainTextResponse("unknown host", status_code=403)
    origin = header(scope, b"origin")
    if origin and origin not in (f"http://{host}", f"https://{host}"):
        return PlainTextResponse("foreign origin", status_code=403)
    if header(scope, b"sec-fetch-site") == "cross-site" and scope["path"] != "/":
        return PlainTextResponse("foreign page", status_code=403)
    return None


def is_loopback(host):
    """Return whether a host name always means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
