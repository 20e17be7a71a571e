"""The filter in front of the interactive page: only requests that the page needs pass.

The server of Phoenix answers everybody who reaches its port. It sends any parquet file
whose path is in the request, writes to any path in the request, and accepts requests
that another web site makes the user's browser send.
"""

import json
import re
from urllib.parse import parse_qs

from graphql import GraphQLError, OperationType, parse, value_from_ast_untyped
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from lib.artifacts import open_packed
from lib.errors import UserError
from lib.pictures.patch_pictures import png_bytes
from lib.session.cloud import Superseded
from lib.session.door import header, with_policy
from lib.session.export import find_export

# Queries by which Phoenix fetches an address in the request, or shows stored keys.
CALLING_OUT = ("testGenerativeModelCustomProviderCredentials", "secrets")
LARGEST_REQUEST = 64 * 2**20
PICTURE = re.compile(r"/imgs/(\d{1,9}\.png)")
PAGES = re.compile(
    r"/|/model(/.*)?|/assets/[\w.-]+|/favicon\.ico|/modernizr\.js"
    r"|/apple-touch-icon[\w-]*\.png|/arize_phoenix_version"
)
EVENT = re.compile(r"(\d{1,9}):InferencesRole\.PRIMARY")
EXPORTING = ("exportEvents", "exportClusters")
# By default the page requests stars from GitHub and fonts from Google; this policy
# makes the browser connect to this address only.
CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:{images}; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' "
    "'unsafe-eval'; worker-src 'self' blob:; connect-src 'self' blob: data:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)


class Guard:
    """ASGI application in front of another.

    Parameters
    ----------
    app : ASGI application
        The server of the page, read-only; mounted, its path is ``root_path``.
    pictures : Path or None
        Folder of ``<row>.png``, or of all in one file; None if another server
        provides them.
    exports : Path
        Folder of all exports.
    export : callable
        Called with the picked rows (list of int); writes them, returns the file name.
    prepare_cloud : coroutine function
        Called with the variables of a request for the point cloud; returns when the
        layout is ready. The server of the page would compute it in its event loop and
        answer no other request meanwhile.
    """

    def __init__(self, app, *, pictures, exports, export, prepare_cloud):
        self.app = app
        self.pictures = pictures
        self.packed = open_packed(pictures) if pictures else None
        self.exports = exports
        self.export = export
        self.prepare_cloud = prepare_cloud
        anywhere = "" if pictures else " http://localhost:* http://127.0.0.1:*"
        self.policy = CONTENT_POLICY.format(images=anywhere).encode()

    async def __call__(self, scope, receive, send):
        """Answer, forward, or reject one request; the door let it in."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == "/graphql":
            response, receive = await self._ask(scope, receive)
        else:
            response = self._fetch(scope, path)
        send = with_policy(send, self.policy)
        await (response or self.app)(scope, receive, send)

    def _fetch(self, scope, path):
        """Return the response to a GET, or None to forward it to the server."""
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("only reading", status_code=405)
        if path == "/exports":
            return self._download(scope)
        if picture := PICTURE.fullmatch(path):
            return self._show(picture.group(1))
        if PAGES.fullmatch(path) and ".." not in path:
            return None
        return PlainTextResponse("nothing here", status_code=404)

    def _download(self, scope):
        query = parse_qs(scope["query_string"].decode("latin-1"))
        path = find_export(self.exports, query.get("filename", [""])[0])
        if path is None:
            return PlainTextResponse("no such export", status_code=404)
        kind = "application/x-octet-stream"
        return FileResponse(path, filename=path.name, media_type=kind)

    def _show(self, name):
        row = int(name.removesuffix(".png"))
        if self.packed is not None and row < len(self.packed):
            return Response(png_bytes(self.packed[row]), media_type="image/png")
        path = self.pictures / name if self.pictures else None
        if path is None or path.is_symlink() or not path.is_file():
            return PlainTextResponse("no such patch", status_code=404)
        return FileResponse(path, media_type="image/png")

    async def _ask(self, scope, receive):
        """Return the response to a query, or None and the query to forward."""
        if scope["method"] != "POST":
            return PlainTextResponse("only POST", status_code=405), receive
        if not header(scope, b"content-type").startswith("application/json"):
            return PlainTextResponse("only JSON", status_code=415), receive
        body = await read_body(receive)
        if body is None:
            return PlainTextResponse("too large", status_code=413), receive
        try:
            operation, variables = read_operation(body)
            if operation.operation is not OperationType.QUERY:
                return self._change(operation, variables), receive
            if b"UMAPPoints" in body:
                await self.prepare_cloud(variables)
        except Superseded as error:
            return PlainTextResponse(str(error), status_code=409), receive
        except (ValueError, TypeError, KeyError, AttributeError, GraphQLError) as error:
            return PlainTextResponse(f"not understood: {error}", 400), receive
        return None, replay(body, receive)

    def _change(self, operation, variables):
        """Export the selection: the only thing that the page may write."""
        fields = operation.selection_set.selections
        name = getattr(getattr(fields[0], "name", None), "value", None)
        if len(fields) != 1 or name not in EXPORTING:
            return PlainTextResponse("only exports may be written", status_code=403)
        asked = {
            argument.name.value: value_from_ast_untyped(argument.value, variables)
            for argument in fields[0].arguments
        }
        if "fileName" in asked:
            return PlainTextResponse("exports are named by time", status_code=403)
        key = fields[0].alias.value if fields[0].alias else name
        try:
            saved = self.export(picked_rows(asked))
        except (UserError, OSError) as error:
            return JSONResponse({"data": None, "errors": [{"message": str(error)}]})
        return JSONResponse({"data": {key: {"fileName": saved}}})


async def read_body(receive):
    """Return the body of a request, or None if it is too large."""
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        more = message.get("more_body", False)
        if size > LARGEST_REQUEST:
            return None
    return b"".join(chunks)


def replay(body, receive):
    """Return a `receive` that gives the body again."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again():
        return messages.pop() if messages else await receive()

    return receive_again


def read_operation(body):
    """Return the one GraphQL operation of a request, and its variables."""
    asked = json.loads(body)
    # GraphQL has no escapes in names, so the text of a query shows what it requests.
    rejected = next((name for name in CALLING_OUT if name in asked["query"]), None)
    if rejected:
        raise ValueError(f"{rejected} is not a query of this page")
    definitions = parse(asked["query"], no_location=True).definitions
    operations = [d for d in definitions if d.kind == "operation_definition"]
    if len(operations) != 1:
        raise ValueError(f"{len(operations)} operations, expected one")
    variables = asked.get("variables") or {}
    if not isinstance(variables, dict):
        raise TypeError("variables must be an object")
    return operations[0], variables


def picked_rows(asked):
    """Return the rows in the arguments of an export.

    An event is named ``<row>:InferencesRole.PRIMARY`` by the page.
    """
    events = list(asked.get("eventIds") or [])
    for cluster in asked.get("clusters") or []:
        events += cluster["eventIds"]
    rows = [EVENT.fullmatch(event) for event in events]
    if None in rows:
        raise ValueError("events are named <row>:InferencesRole.PRIMARY")
    return [int(row.group(1)) for row in rows]
