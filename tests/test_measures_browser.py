"""What was measured of candidates, and where they come from, in a real browser."""

from dataclasses import replace

import numpy as np
import pytest

from lib.run.history import GivenFile
from lib.run.record import Lineage
from tests.browser import need_browser
from tests.explorer_page import ExplorerPage
from tests.records import make_record
from tests.session_runs import Running, make_table, write_run

ROWS = 40
DISTANCE = np.arange(ROWS) - 20.0
PEAK = np.arange(ROWS) % 7
PICKED = GivenFile("/run/exports/yes.parquet", positions=9, step="training", exp_id="a")
BEFORE = replace(PICKED, path="/run/first.csv", exp_id=None, generation=1)
GIVEN = np.where(np.arange(ROWS) % 4, np.arange(ROWS) / ROWS, np.nan)


@pytest.fixture
def page(tmp_path):
    need_browser()
    table = make_table(
        ROWS,
        clusters=4,
        map_xy=np.random.default_rng(0).random((ROWS, 2)).astype("f4"),
        cloud=np.random.default_rng(1).random((ROWS, 3)).astype("f4"),
        measures={
            "mask_distance": DISTANCE.astype("f4"),
            "given_peak": PEAK.astype("f4"),
        },
        given_score=GIVEN.astype("f4"),
        record=replace(make_record(), lineage=Lineage(given=(PICKED, BEFORE))),
    )
    path = write_run(tmp_path / "test_sample", table)
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    with Running("--input", path, cwd=tmp_path) as session:
        page = ExplorerPage(session.wait_ready(), downloads)
        yield page
        page.driver.quit()
        status, body = session.ask("/api/measure?name=mask_distance")
        np.testing.assert_array_equal(np.frombuffer(body, "<f4"), DISTANCE)
        assert status == 200
        assert session.ask("/api/measure?name=density")[0] == 404


def test_measure_colors_the_map_and_hides_what_is_out_of_range(page):
    def drawn():
        return int(page.data("map")["drawn"])

    def fill(name, text):
        field = page.driver.find_element("id", name)
        field.clear()
        field.send_keys(text + "\n")

    def picture():
        script = "return document.getElementById('map-points').toDataURL()"
        return page.run(script)

    before = picture()
    page.press("#color-by option", "mask distance")
    page.until(lambda: picture() != before)
    page.press("#filter-by option", "mask distance")
    page.until(lambda: page.driver.find_element("id", "filter-low").is_displayed())
    fill("filter-low", "-5")
    fill("filter-high", "4")
    wanted = int(((DISTANCE >= -5) & (DISTANCE <= 4)).sum())
    page.until(lambda: drawn() == wanted)
    fill("filter-high", "")
    page.until(lambda: drawn() == int((DISTANCE >= -5).sum()))
    page.press("#filter-by option", "given score")
    fill("filter-low", "0.5")  # candidates without a score are hidden, too
    page.until(lambda: drawn() == int((GIVEN >= 0.5).sum()))
    page.press("#filter-by option", "given peak")
    fill("filter-low", "5")
    page.until(lambda: drawn() == int((PEAK >= 5).sum()))
    page.press("#filter-by option", "all")
    page.until(lambda: drawn() == ROWS)
    history = page.driver.find_element("id", "run-history")
    assert (
        history.text == "trained on 9 positions picked in run a (exports/yes.parquet)"
    )
    assert history.get_attribute("title").splitlines() == [
        history.text,
        "before that, trained on 9 positions (run/first.csv)",
    ]
