"""Who may come in to the interactive page: the user who started it, nobody else.

Everybody who is logged in to the machine reaches what listens on its loopback, and
every web site that the user has open can make the browser send requests there. The
link that the terminal shows carries a random token; it is exchanged for a cookie, and
without either nothing is answered.
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
    "This session belongs to the user who started it: open the link, with its token, "
    "that the terminal shows.\n"
)


class Door:
    """Lets in requests of the page's own, with the token or the cookie of a session.

    Attributes
    ----------
    token : str
        New for each session.
    query : str
        What the link to the page ends in.
    cookie : str
        Name of the cookie. A browser sends cookies to every port of a host, so that
        each session has a name of its own.
    """

    def __init__(self):
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self.query = f"?token={self.token}"
        digest = hashlib.sha256(self.token.encode()).hexdigest()
        self.cookie = f"session-{digest[:12]}"

    def check(self, scope):
        """Return the response to a request that may not pass, or None.

        The link of the terminal is answered by the cookie, and the way to the same
        page without the token: nobody should copy it from the address.
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
        """Compare in a time that does not tell how much of the token is right."""
        return hmac.compare_digest(text.encode(), self.token.encode())


def header(scope, name):
    """Return a request header as text, empty when it is absent."""
    return dict(scope["headers"]).get(name, b"").decode("latin-1")


def check_origin(scope):
    """Refuse a request that another web site made the user's browser send.

    The name asked for must be one of loopback (another name that resolves to it
    is how a foreign site reads what listens here), and the page that asks, where
    the browser names it, must be this one.
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
    """Tell whether a host, as in an address, is this machine and can be no other."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
