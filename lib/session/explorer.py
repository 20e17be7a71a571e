"""The routes of the explorer: what its page asks, and what it is answered.

Everything is read from columns and maps, so that a request costs what it returns. The
page is in ``static/``: plain files, without a build step.
"""

import json
import threading
from pathlib import Path

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from lib.errors import ResourceError, UserError
from lib.picking.likeness import similarity
from lib.pictures.colormap import plane_colors
from lib.session.answers import Json, cluster_means, describe, state_of
from lib.session.export import FORMATS, export_classes, find_export
from lib.session.requests import read_index, read_object, read_rows
from lib.session.slices import AXES
from lib.session.teach_routes import TeachRoutes

STATIC = Path(__file__).with_name("static")
MOST_PATCHES = 512
MOST_SIMILAR = 1000
LARGEST_SIGMA = 20
BYTES = "application/octet-stream"


class Explorer:
    """Answers the requests of the page.

    Parameters
    ----------
    candidates : lib.session.candidates.Candidates
    tomograms : lib.session.slices.Tomograms
    journal : lib.session.journal.Journal
    phoenix : lib.session.phoenix.Phoenix
        The other page.
    say : callable
        Called with a line for the user.
    """

    def __init__(self, candidates, tomograms, journal, phoenix, say):
        self.candidates, self.tomograms = candidates, tomograms
        self.journal, self.phoenix, self.say = journal, phoenix, say
        self._changing = threading.Lock()
        self._points = self._means = None
        unit = candidates.columns.unit
        self._teach = TeachRoutes(unit, journal, self._changing)

    def application(self):
        """Return the ASGI application."""
        routes = [
            Route("/", self._page),
            Route("/api/session", self._session),
            Route("/api/state", self._state),
            Route("/api/points", self._send_points),
            Route("/api/measure", self._measure),
            Route("/api/classes", self._classes),
            Route("/api/slice", self._slice),
            Route("/api/means", self._send_means),
            Route("/api/patches", self._patches, methods=["POST"]),
            Route("/api/similar", self._similar, methods=["POST"]),
            Route("/api/action", self._action, methods=["POST"]),
            Route("/api/export", self._export, methods=["POST"]),
            Route("/exports", self._download),
            Mount("/static", StaticFiles(directory=STATIC)),
            *self._teach.routes(),
            *self.phoenix.routes(),
        ]
        return Starlette(
            routes=routes,
            exception_handlers={
                HTTPException: _refuse,
                UserError: _tell,
                OSError: _tell,
                Exception: _apologize,
            },
        )

    def _page(self, request):
        return FileResponse(STATIC / "index.html")

    def _session(self, request):
        state = self._current_state()
        return Json(
            {
                **describe(self.candidates, self.tomograms.inspect()),
                "notes": [*self.candidates.notes, *self.journal.notes],
                "state": state,
                "phoenix": self.phoenix.describe(),
                "formats": list(FORMATS),
            }
        )

    def _state(self, request):
        return Json(self._current_state())

    def _current_state(self):
        with self._changing:
            self.journal.refresh()
            return state_of(self.journal)

    def _send_points(self, request):
        if self._points is None:
            columns = self.candidates.columns
            parts = {
                "map": _as_uint16(columns.map_xy).T,
                "cloud": _as_uint16(columns.cloud).T,
                "cluster": columns.cluster.astype("<u2"),
                "tomogram": columns.tomogram.astype("<u2"),
                "position": self.tomograms.positions().T.astype("<f4"),
                "place": plane_colors(columns.map_xy).T,
            }
            if self.candidates.score is not None:
                parts["score"] = self.candidates.score.astype("<f4")
            listed = [
                {"name": name, "dtype": part.dtype.name, "length": part.size}
                for name, part in parts.items()
            ]
            self._points = (
                b"".join(part.tobytes() for part in parts.values()),
                {"X-Columns": json.dumps(listed)},
            )
        content, headers = self._points
        return Response(content, media_type=BYTES, headers=headers)

    def _measure(self, request):
        name = request.query_params.get("name")
        measures = self.candidates.columns.measures
        if name not in measures:
            raise HTTPException(404, f"there is no measure {name!r} in this table")
        return Response(measures[name].astype("<f4").tobytes(), media_type=BYTES)

    def _classes(self, request):
        with self._changing:
            classes = self.journal.classes
            content, version = classes.of_row.tobytes(), str(classes.version)
        return Response(content, media_type=BYTES, headers={"X-Version": version})

    def _slice(self, request):
        asked = request.query_params
        index = read_index(asked.get("tomogram"), len(self.candidates.columns.names))
        axis = asked.get("axis", "z")
        try:
            at, sigma = int(asked.get("index", "")), float(asked.get("sigma", "0"))
        except ValueError:
            raise HTTPException(400, "index and sigma must be numbers") from None
        if index is None or axis not in AXES or not 0 <= sigma <= LARGEST_SIGMA:
            raise HTTPException(
                404,
                f"there is no such slice: tomogram {asked.get('tomogram')}, axis "
                f"{axis}, sigma {sigma:g} (at most {LARGEST_SIGMA})",
            )
        try:
            plane = self.tomograms.cut(index, axis, at, sigma)
        except (UserError, OSError) as error:
            raise HTTPException(404, str(error)) from error
        shape = ",".join(map(str, plane.shape))
        return Response(plane.tobytes(), media_type=BYTES, headers={"X-Shape": shape})

    def _send_means(self, request):
        if self._means is None:
            self._means = cluster_means(self.candidates).tobytes()
        return Response(self._means, media_type=BYTES)

    async def _patches(self, request):
        asked = await read_object(request)
        rows = read_rows(asked, "rows", len(self.candidates), MOST_PATCHES)
        patches = self.candidates.patches
        view = read_index(asked.get("view", 0), max(1, len(patches.views)))
        if view is None:
            raise HTTPException(400, f"there is no view {asked.get('view')!r}")
        found = await run_in_threadpool(patches.read, rows, view)
        return Response(found.tobytes(), media_type=BYTES)

    async def _similar(self, request):
        asked, n = await read_object(request), len(self.candidates)
        rows = read_rows(asked, "rows", n, MOST_SIMILAR)
        unit = self.candidates.columns.unit
        score = await run_in_threadpool(similarity, unit, rows)
        return Response(score.astype("<f2").tobytes(), media_type=BYTES)

    async def _action(self, request):
        return await run_in_threadpool(self._change, await read_object(request))

    def _change(self, change):
        with self._changing:
            self.journal.write(change)
            return Json(state_of(self.journal))

    async def _export(self, request):
        return await run_in_threadpool(self._write_export, await read_object(request))

    def _write_export(self, asked):
        with self._changing:
            path, count = export_classes(
                self.candidates, self.journal.classes, asked, MOST_SIMILAR
            )
        self.say(f"picked {count:,} candidates -> {path}")
        url = f"exports?filename={path.name}"
        answer = {"name": path.name, "count": count, "url": url, "kept": str(path)}
        return Json(answer)

    def _download(self, request):
        name = request.query_params.get("filename", "")
        path = find_export(self.candidates.run.exports, name)
        if path is None:
            raise HTTPException(404, "there is no such export")
        kind = "application/x-octet-stream"
        return FileResponse(path, filename=path.name, media_type=kind)


def _as_uint16(positions):
    return np.rint(65535 * positions.astype(np.float64)).astype("<u2")


def _error(text, status):
    return Json({"error": text}, status_code=status)


def _refuse(request, error):
    return _error(error.detail, error.status_code)


def _tell(request, error):
    status = 507 if isinstance(error, ResourceError | OSError) else 400
    return _error(str(error), status)


def _apologize(request, error):
    return _error(f"a fault of the session: {type(error).__name__}: {error}", 500)
