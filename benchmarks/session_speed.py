"""How long a user of the explorer waits, by number of candidates, in a real browser.

    python benchmarks/session_speed.py                  # 3,000, 100,000 and 1,000,000
    python benchmarks/session_speed.py 3000 --phoenix

Headless Chromium without WebGL; each time stands beside a floor of the same run: the
bytes over the wire, or a bare redraw of as many points.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.run import machine
from benchmarks.session_data import forget, write_synthetic_run
from tests.browser import Browser
from tests.session_runs import Running

PROJECT = Path(__file__).resolve().parents[1]
COUNTS = (3000, 100_000, 1_000_000)
SIZE = (1280, 863)  # of the window; 143 pixels of it are not the page's
SCRIPT = (PROJECT / "benchmarks" / "session_page.js").read_text(encoding="utf-8")
DRAWN = """return document.body.dataset.ready
    && document.getElementById("map-points").dataset.drawn"""
CLOUD = """query ($id: ID!, $minDist: Float!, $nNeighbors: Int!, $nSamples: Int!,
    $range: TimeRange!) { node(id: $id) { ... on EmbeddingDimension {
    UMAPPoints(timeRange: $range, minDist: $minDist, nNeighbors: $nNeighbors,
    nSamples: $nSamples, minClusterSize: 10, clusterMinSamples: 1,
    clusterSelectionEpsilon: 0) { data { id eventId coordinates { __typename
    ... on Point3D { x y z } } embeddingMetadata { linkToData rawData }
    eventMetadata { predictionId predictionLabel actualLabel predictionScore
    actualScore } } clusters { id eventIds driftRatio } } } } }"""
FIRST = "{ model { embeddingDimensions(first: 1) { edges { node { id } } } } }"


class Page(Browser):
    """The page of a session, measured by functions of session_page.js."""

    def measure(self, call):
        """Return what a call gives, once it is done."""
        self.driver.set_script_timeout(300)
        answer = self.driver.execute_async_script(
            f"{SCRIPT}\nconst done = arguments[arguments.length - 1];"
            f"(async () => {call})().then((value) => done({{ value }}),"
            "(error) => done({ error: String(error) }));"
        )
        if "error" in answer:
            raise RuntimeError(f"{call}: {answer['error']}")
        return answer["value"]

    def open(self, session, count):
        """Open the page; return when it shows all candidates."""
        self.driver.get(session.wait_ready())
        while self.run(DRAWN) != str(count):
            time.sleep(0.02)


def measure(count, folder):
    """Return the rows of the table for one number of candidates."""
    path = write_synthetic_run(folder, count)
    forget(folder)
    page = Page("about:blank", folder, size=SIZE)
    try:
        begun = time.monotonic()
        with Running("--input", path, cwd=folder) as session:
            page.open(session, count)
            opened = time.monotonic() - begun
            return [
                ("command typed to page drawn", f"{opened:.1f} s", floor_of_open(page)),
                *measure_page(page, count),
                ("memory of the server", *memory_of(session)),
            ]
    finally:
        page.driver.quit()


def floor_of_open(page):
    """Return what the bytes of all candidates alone take."""
    return "bytes alone {0[0]:.0f} ms ({0[1]:.1e})".format(
        [*page.measure("bare('api/points')")]
    )


def measure_page(page, count):
    """Yield the rows of what is done on the page."""
    redraw = f"bare redraw {page.measure(f'bareRedraw({count})'):.1f} ms"
    first, again = page.measure("similar()"), page.measure("similar()")
    page.measure("byId('similar-close').click()")
    alone, _ = page.measure("bare('api/similar', {rows: [0]})")
    flat = page.measure("drag(3)")
    page.press("#map-dimensions button", "3-D")
    turned = page.measure("drag(3)")
    page.press("#map-dimensions button", "2-D")
    lasso = page.measure("lasso()")
    next_slice, far = page.measure("slices(1, 0)"), page.measure("slices(9, 200)")
    sent, size = page.measure("bare('api/slice?tomogram=0&axis=z&index=40&sigma=0')")
    assert size == 512 * 512
    for what, found in (("map is moved", flat), ("cloud is turned", turned)):
        text = f"{found['rate']:.0f} a second, {found['redraw']:.1f} ms each"
        yield f"redraw while the {what}", text, redraw
    yield "lasso to colored selection", f"{lasso['time']:.0f} ms", redraw
    wire = f"answer alone {alone:.0f} ms"
    yield "find similar, the first click", f"{first['time']:.0f} ms", wire
    yield "find similar, later", f"{again['time']:.0f} ms", wire
    yield "one step of the threshold", f"{again['step']:.0f} ms", redraw
    wire = f"bytes alone {sent:.0f} ms"
    yield "slice 512 x 512, next z, without a pause", f"{next_slice:.0f} ms", wire
    yield "slice 512 x 512, nine further", f"{far:.0f} ms", wire


def memory_of(session):
    """Return the largest memory of a session so far, and its part that is no file."""
    status = Path(f"/proc/{session.process.pid}/status").read_text()
    sizes = dict(line.split(":", 1) for line in status.splitlines())
    peak, own = (int(sizes[key].split()[0]) / 1e6 for key in ("VmHWM", "RssAnon"))
    return f"{peak:.2f} GB", f"of which no maps of files {own:.2f} GB"


def measure_phoenix(count, folder):
    """Return the rows of Phoenix's page: what its browser asks for, without drawing."""
    path = write_synthetic_run(folder, count)
    begun = time.monotonic()
    with Running("--page", "phoenix", "--input", path, cwd=folder) as session:
        session.wait_ready()
        session.open_phoenix()
        ready = time.monotonic() - begun
        found = ask(session, FIRST)["model"]["embeddingDimensions"]["edges"][0]
        variables = {"id": found["node"]["id"], "nSamples": count}
        variables |= {"minDist": 0.1, "nNeighbors": 30}
        cloud = ask(session, CLOUD, **variables, range={"start": None, "end": None})
        shown = len(cloud["node"]["UMAPPoints"]["data"])
        took = time.monotonic() - begun
        yield "Phoenix: command typed to page", f"{ready:.0f} s", ""
        yield f"Phoenix: to its cloud of {shown:,}", f"{took:.0f} s", ""
        yield ("Phoenix: memory of the server", *memory_of(session))


def ask(session, query, **variables):
    """Return the answer of Phoenix's server."""
    request = urllib.request.Request(
        f"http://localhost:{session.port}/phoenix/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json", "Cookie": session.cookie},
    )
    with urllib.request.urlopen(request, timeout=600) as reply:
        answer = json.load(reply)
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


def main():
    """Print a table for each number of candidates."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", nargs="*", type=int, help="of candidates")
    parser.add_argument("--phoenix", action="store_true", help="Phoenix's page instead")
    options = parser.parse_args()
    for count in options.count or COUNTS:
        folder = Path(tempfile.mkdtemp(prefix="session_speed_"))
        load = os.getloadavg()[0]
        try:
            rows = (measure_phoenix if options.phoenix else measure)(count, folder)
            print(
                f"\n| {count:,} candidates, load {load:.1f} | | beside |\n|:--|:--|:--|"
            )
            for row in rows:
                print("| " + " | ".join(row) + " |", flush=True)
        finally:
            shutil.rmtree(folder)
    print(f"\n{machine('cpu')}")


if __name__ == "__main__":
    main()
