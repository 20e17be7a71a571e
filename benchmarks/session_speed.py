"""How long a user of the interactive session waits, by number of points.

Starts the session on synthetic clusters and asks it what the page asks, so that
what is timed is the server's part; a browser adds a few seconds to draw.

    python benchmarks/session_speed.py 1000 3000 20000 100000
"""

import json
import os
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import psutil

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from tests.session_runs import Running, make_table, write_run  # noqa: E402 - path first

CLOUD = """query ($id: ID!, $minDist: Float!, $nNeighbors: Int!, $nSamples: Int!,
    $range: TimeRange!) { node(id: $id) { ... on EmbeddingDimension {
    UMAPPoints(timeRange: $range, minDist: $minDist, nNeighbors: $nNeighbors,
    nSamples: $nSamples, minClusterSize: 10, clusterMinSamples: 1,
    clusterSelectionEpsilon: 0) { data { id eventId coordinates { __typename
    ... on Point3D { x y z } } embeddingMetadata { linkToData rawData }
    eventMetadata { predictionId predictionLabel actualLabel predictionScore
    actualScore } } clusters { id eventIds driftRatio } } } } }"""
DETAILS = """query ($events: [ID!]!) { model { primaryInferences {
    events(eventIds: $events) { id dimensions { dimension { name type id } value }
    eventMetadata { predictionId predictionLabel predictionScore actualLabel
    actualScore } promptAndResponse { prompt response } documentText } } } }"""
FIRST = "{ model { embeddingDimensions(first: 1) { edges { node { id } } } } }"


def ask(session, query, **variables):
    """Return the answer of the page's server, and the seconds it took."""
    begun = time.monotonic()
    request = urllib.request.Request(
        f"http://localhost:{session.port}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json", "Cookie": session.cookie},
    )
    with urllib.request.urlopen(request, timeout=1800) as reply:
        answer = json.load(reply)
    assert "errors" not in answer, answer["errors"]
    return answer["data"], time.monotonic() - begun


def measure(count, shown, folder):
    """Return the seconds until the page answers, the cloud, and its details.

    The last is the processor time of all: what is left of the differences when
    other programs share the machine.
    """
    path = write_run(folder, make_table(count, 24, 128), pictures=False)
    begun = time.monotonic()
    with Running("--input", path, cwd=folder) as session:
        session.wait_ready(600)
        ready = time.monotonic() - begun
        found, _ = ask(session, FIRST)
        cloud, waited = ask(
            session,
            CLOUD,
            id=found["model"]["embeddingDimensions"]["edges"][0]["node"]["id"],
            minDist=0.1,
            nNeighbors=30,
            nSamples=shown,
            range={"start": None, "end": None},
        )
        points = cloud["node"]["UMAPPoints"]["data"]
        assert len(points) == min(shown, count)
        assert np.isfinite([point["coordinates"]["x"] for point in points]).all()
        _, details = ask(session, DETAILS, events=[p["eventId"] for p in points])
        used = psutil.Process(session.process.pid).cpu_times()
    return ready, waited, details, used.user + used.system


def main():
    """Print a table: a row for each number of points."""
    counts = [int(text) for text in sys.argv[1:]] or [1000, 3000, 10_000]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} when it began")
    print("| points | page ready, s | then cloud, s | then labels, s | processor, s |")
    print("|---|---|---|---|---|", flush=True)
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            times = measure(count, count, Path(folder) / "run")
        print(f"| {count:,} |", *(f"{t:.0f} |" for t in times), flush=True)


if __name__ == "__main__":
    main()
