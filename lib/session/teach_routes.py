"""The routes of Teach: scores of a lesson with the next question, and checks."""

import json

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from lib.session.answers import Json, state_of
from lib.session.lessons import read_probability
from lib.session.requests import read_object
from lib.session.teaching import Teacher


class TeachRoutes:
    """Answers what the page asks about lessons; answers to questions are changes.

    Parameters
    ----------
    unit : ndarray of float16, shape (N, D)
        See `lib.picking.likeness`.
    journal : lib.session.journal.Journal
    changing : threading.Lock
        Held while the journal is changed.
    """

    def __init__(self, unit, journal, changing):
        self.journal, self.changing = journal, changing
        self.teacher = Teacher(unit)

    def routes(self):
        """Return them as a list."""
        return [
            Route("/api/teach", self._teach, methods=["POST"]),
            Route("/api/teach/check", self._check, methods=["POST"]),
        ]

    async def _teach(self, request):
        return await run_in_threadpool(self._scores, await read_object(request))

    async def _check(self, request):
        return await run_in_threadpool(self._draw, await read_object(request))

    def _scores(self, asked):
        with self.changing:
            lesson = self.journal.classes.lesson(asked.get("class"))
        taught = self.teacher.taught(lesson)  # may last: others go on meanwhile
        return Response(
            taught.score.astype("<f4").tobytes(),
            media_type="application/octet-stream",
            headers={"X-Lesson": json.dumps(taught.told, allow_nan=False)},
        )

    def _draw(self, asked):
        threshold = read_probability(asked)
        with self.changing:
            classes = self.journal.classes
            lesson = classes.lesson(asked.get("class"))
            drawn = self.teacher.draw(lesson, threshold, seed=classes.version)
            self.journal.write(
                {
                    "op": "check",
                    "class": asked.get("class"),
                    "threshold": threshold,
                    "drawn": drawn,
                }
            )
            return Json(state_of(self.journal))
