"""Take the pictures of the explorer: python -m tests.explorer_pictures TABLE 2 membrane

The second largest cluster is selected, named and searched for; docs/interactive.md
tells what it shows in the demo. Classes are named in the session of the table: give a
copy of it.
"""

import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from tests.explorer_page import ExplorerPage
from tests.scripts import PROJECT
from tests.session_runs import Running

SIZE = (1280, 863)  # of the window; 143 pixels of it are not the page's
COLORS = 255
REST = 1.5  # seconds until everything fetched is drawn


def take(page, name, folder):
    """Keep the page as a small PNG."""
    time.sleep(REST)
    path = Path(folder) / f"{name}.png"
    page.driver.save_screenshot(str(path))
    picture = Image.open(path).convert("RGB")
    # few pixels have the colors of points, and those must stay
    method = Image.Quantize.MAXCOVERAGE
    picture.quantize(COLORS, method, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path, f"{path.stat().st_size / 1000:.0f} kB")


def walk(page, folder, place, name):
    """Do what docs/interactive.md describes."""
    page.run(
        "const sort = document.getElementById('clusters-sort'); sort.value = 'count';"
        "sort.dispatchEvent(new Event('change'))"
    )
    page.press(f".item.cluster:nth-child({place}) .choose")
    page.until(lambda: len(page.all(".tile")) > 2)
    page.all(".tile")[0].send_keys("\ue007")
    take(page, "explorer_cluster", folder)
    page.name_selection(name)
    page.press("#similar-find")
    take(page, "explorer_similar", folder)
    page.send("1")
    page.press("#similar-close")
    page.run("document.getElementById('color-by').value = 'class'")
    page.run("document.getElementById('color-by').dispatchEvent(new Event('change'))")
    page.press("#map-dimensions button", "3-D")
    take(page, "explorer_classes", folder)
    page.press("#export-open")
    take(page, "explorer_export", folder)


def main(table, place=1, name="membrane", folder=PROJECT / "docs"):
    """Start a session on a table, and take the pictures."""
    with (
        tempfile.TemporaryDirectory() as downloads,
        Running("--input", Path(table).absolute(), cwd=downloads) as session,
    ):
        page = ExplorerPage(session.wait_ready(), Path(downloads), SIZE)
        try:
            walk(page, folder, place, name)
        finally:
            page.driver.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
