"""The session as a user sees it: a real browser, a real download, the converter.

SESSION_PICTURES=folder keeps a picture of every step (that of the document).
"""

import subprocess
import sys
import time
from urllib.parse import urlparse

import numpy as np
import pytest

from tests.browser import Browser, need_browser
from tests.session_runs import PROJECT, Running, make_table, write_run

CHOSEN = 3
HOSTILE = "tomo<img src=x onerror=document.title='broken'>"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    need_browser()
    folder = tmp_path_factory.mktemp("run")
    table = make_table(
        600,
        clusters=6,
        dim=128,
        name=np.array(["tomo1", HOSTILE] * 300),
    )
    path = write_run(folder / "test_sample", table)
    with Running("--page", "phoenix", "--input", path, cwd=folder) as session:
        session.table, session.folder = table, path.parent
        session.address = session.wait_ready()
        yield session


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    downloads = tmp_path_factory.mktemp("downloads")
    page = Page(run.address, downloads)
    yield page
    page.driver.quit()


class Page(Browser):
    """Phoenix's page, which draws its cloud by WebGL in software."""

    def __init__(self, address, downloads):
        drawing = (
            "--use-gl=angle",
            "--use-angle=swiftshader",
            "--enable-unsafe-swiftshader",
        )
        super().__init__(address, downloads, arguments=drawing)

    def text(self):
        """Return all text of the page, that scrolled out of sight as well."""
        return self.all("#root")[0].get_attribute("textContent")

    def press_until(self, css, appears):
        """Click, and again when nothing came of it, until a button `appears`."""

        def there():
            buttons = self.all("button")
            return any(appears in b.get_attribute("textContent") for b in buttons)

        def press():
            self.press(css)
            again = time.monotonic() + 8
            while not there() and time.monotonic() < again:
                time.sleep(0.1)
            return there()

        self.until(press)

    def choose(self, menu, key):
        """Open a menu and choose, again until the menu shows what was chosen."""

        def chosen():
            (button,) = self.all(f"{menu} span")[:1]
            if key in button.get_attribute("textContent"):
                return True
            options = self.all(f"[role=option][data-key={key}]")
            (options or self.all(menu))[0].click()
            # the menu moves in and out: a click meanwhile would miss
            time.sleep(0.5)
            return False

        self.until(chosen)


def test_a_cluster_goes_from_the_cloud_to_training_coordinates(run, page, tmp_path):
    page.until(lambda: page.all("a[href*='/model/embeddings/']"))
    page.keep_picture("session_home")
    page.press("a[href*='/model/embeddings/']", "patches")

    page.until(lambda: len(page.all("[data-testid=cluster-description]")) == 6)
    page.until(lambda: page.all("[data-testid=point-cloud-display] canvas"))
    page.keep_picture("session_cloud")

    page.choose("button[aria-label='Coloring strategy']", "dimension")
    page.choose("[data-testid=dimension-picker] button", "name")
    page.until(lambda: HOSTILE in page.text())
    page.choose("[data-testid=dimension-picker] button", "label")
    page.until(lambda: "cluster 05" in page.text())
    page.keep_picture("session_colors")

    page.press("[data-testid=cluster-description]", f"Cluster 0{CHOSEN}")
    chosen = run.table.label == CHOSEN
    shown = "return [...document.images].filter(i => i.naturalWidth == 36).length"
    page.until(lambda: page.driver.execute_script(shown) == chosen.sum())
    page.keep_picture("session_gallery")

    button = "button[aria-label='Export selection / cluster']"
    page.press_until(button, appears="Download")
    page.until(lambda: (run.folder / "exports").is_dir())
    page.keep_picture("session_export")

    def download():
        page.press("button", "Download")  # misses while the panel still moves in
        again = time.monotonic() + 8
        while not page.downloaded() and time.monotonic() < again:
            time.sleep(0.1)
        return page.downloaded()

    page.until(download)
    (kept,) = page.downloaded()
    assert kept.read_bytes() == (run.folder / "exports" / kept.name).read_bytes()

    output = tmp_path / "training_coordinates.txt"
    subprocess.run(
        [sys.executable, PROJECT / "interactive_to_training_coords.py"]
        + ["--input", page.downloads, "--output", output],
        check=True,
        cwd=tmp_path,
    )
    lines = [line.split("\t") for line in output.read_text().splitlines()]
    assert lines[0] == ["image_name", "x_coord", "y_coord", "z_coord"]
    assert [line[0] for line in lines[1:]] == run.table.name[chosen].tolist()
    coords = [list(map(int, line[1:])) for line in lines[1:]]
    assert coords == run.table.coord[chosen].tolist()


def test_the_address_shows_no_token(run, page):
    assert "?token=" in run.address
    assert "token" not in page.driver.current_url


def test_the_browser_asks_nobody_else(page):
    asked = {urlparse(url) for url in page.requests()}
    outside = [url.geturl() for url in asked if url.scheme not in ("data", "blob")]
    assert outside, "the log is empty"
    assert {urlparse(url).hostname for url in outside} == {"localhost"}


def test_names_in_the_table_are_text_to_the_page(page):
    body = page.driver.find_element("tag name", "body")
    assert not body.find_elements("css selector", "img[src=x]")
    assert page.driver.title != "broken"
