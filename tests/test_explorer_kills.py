"""A session that is killed at any moment loses nothing that it said was done."""

import json
import random
import time
from http.client import HTTPConnection, HTTPException
from threading import Thread

import numpy as np
import pytest

from tests.session_runs import Running, make_table, write_run

ROWS = 5000


class Naming:
    """Puts one candidate after the other into a class, as fast as it is answered."""

    def __init__(self, session, rows):
        self.session, self.rows = session, rows
        self.done, self.asked = [], []
        self.stopping = False
        self.thread = Thread(target=self._work)
        self.thread.start()

    def _work(self):
        connection = HTTPConnection("127.0.0.1", self.session.port, timeout=60)
        sent = {"cookie": self.session.cookie, "content-type": "application/json"}
        try:
            while not self.stopping:
                self.asked.append(next(self.rows))
                rows = {"list": self.asked[-1:]}
                body = json.dumps({"op": "assign", "name": "picked", "rows": rows})
                connection.request("POST", "/api/action", body, sent)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200
                self.done.append(self.asked[-1])
        except (OSError, HTTPException):
            pass  # killed
        connection.close()

    def stop(self):
        self.stopping = True
        self.thread.join(60)


def members(session):
    status, content = session.ask("/api/classes")
    assert status == 200
    return set(np.flatnonzero(np.frombuffer(content, np.uint8)).tolist())


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.long)])
def test_what_was_answered_is_there_after_sigkill(tmp_path, kills):
    path = write_run(tmp_path / "run", make_table(ROWS), pictures=False)
    chance = random.Random(0)
    rows = iter(chance.sample(range(ROWS), ROWS))
    known, perhaps = set(), set()
    for kill in range(kills + 1):
        with Running("--input", path, cwd=tmp_path) as session:
            session.wait_ready()
            found = members(session)
            assert known <= found <= known | perhaps
            known, perhaps = found, set()
            if kill == kills:
                break
            naming = Naming(session, rows)
            time.sleep(chance.uniform(0.02, 0.2))
            if kill % 2:  # between two requests
                naming.stop()
            session.process.kill()
            session.process.wait(60)
            naming.stop()
            known |= set(naming.done)
            perhaps = set(naming.asked) - set(naming.done)
            assert len(perhaps) <= 1
    assert len(known) >= kills
