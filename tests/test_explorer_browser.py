"""The explorer as a user sees it: a real browser without WebGL, a real download."""

import json
import signal
from urllib.parse import urlparse

import numpy as np
import pytest

from lib.artifacts import InteractiveTable
from lib.picking.likeness import unit_float16
from tests.browser import need_browser
from tests.mrc_files import write_mrc
from tests.records import make_record
from tests.session_runs import Running, make_table, write_run

SHAPE = (32, 120, 160)  # (Z, Y, X) of the tomogram
N_BEADS = 36
ROWS = 4 * N_BEADS
BEAD = 5  # row: in tomo1
HOSTILE = "tomo<img src=x onerror=document.title='broken'>"
# Four groups on the map, apart from each other, each in a square of this edge.
CORNERS = np.array([[0.1, 0.1], [0.7, 0.1], [0.1, 0.7], [0.7, 0.7]])
EDGE = 0.15


def bead_places(rng):
    """Return (x, y, z) of beads that do not touch, well inside the tomogram."""
    x, y = np.meshgrid(np.arange(15, 150, 24), np.arange(12, 112, 18))
    flat = np.stack([x.ravel(), y.ravel()], axis=1)[:N_BEADS]
    return np.column_stack([flat, rng.integers(8, 24, len(flat))])


def write_tomogram(path, beads):
    rng = np.random.default_rng(1)
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    voxels = rng.normal(size=SHAPE).astype("f4") * 0.1
    for bx, by, bz in beads:
        squared = (x - bx) ** 2 + (y - by) ** 2 + (z - bz) ** 2
        voxels -= np.exp(-squared / 8).astype("f4")
    write_mrc(path, voxels)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    need_browser()
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    beads = bead_places(rng)
    coord = np.concatenate([beads, *[rng.integers(8, 24, (N_BEADS, 3))] * 3])
    group = np.arange(ROWS) % 4
    write_tomogram(folder / "tomo1.rec", beads)
    facts = {"shape": list(SHAPE), "voxel_size": 10.0, "order": "zxy"}
    path = write_run(
        folder / "test_sample",
        make_table(
            ROWS,
            clusters=4,
            name=np.array(["tomo1"] * N_BEADS + [HOSTILE] * (ROWS - N_BEADS)),
            coord=coord,
            map_xy=(CORNERS[group] + EDGE * rng.random((ROWS, 2))).astype("f4"),
            cloud=rng.random((ROWS, 3)).astype("f4"),
            record=make_record(
                {
                    "tomo1": {**facts, "rec_path": str(folder / "tomo1.rec")},
                    HOSTILE: {**facts, "rec_path": str(folder / "gone.rec")},
                },
                compress=False,
            ),
        ),
    )
    table = InteractiveTable.load(path)

    def start():
        session = Running("--input", path, cwd=folder)
        session.address = session.wait_ready()
        return session

    run = type("Run", (), {})()
    run.folder, run.table, run.start, run.session = path.parent, table, start, start()
    yield run
    run.session.__exit__()


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    from tests.explorer_page import ExplorerPage

    downloads = tmp_path_factory.mktemp("downloads")
    page = ExplorerPage(run.session.address, downloads)
    yield page
    page.driver.quit()


def on_map(x, y):
    """Return a position on the map in the numbers of the page."""
    return 65535 * x, 65535 * y, 0


def around(group, margin=0.03):
    """Return the corners of a lasso around a group."""
    x, y = CORNERS[group] - margin
    edge = EDGE + 2 * margin
    square = [(x, y), (x + edge, y), (x + edge, y + edge), (x, y + edge)]
    return [on_map(*corner) for corner in square]


def rows_of(group):
    return list(range(group, ROWS, 4))


def test_every_candidate_is_drawn(page):
    assert page.data("map")["drawn"] == str(ROWS)
    page.keep_picture("explorer")


def test_lasso_selects_exactly_the_group(page):
    page.draw("map", around(2))
    assert page.selected_rows() == rows_of(2)


def test_shift_adds_ctrl_subtracts_and_undo_brings_back(page):
    from selenium.webdriver.common.keys import Keys

    page.draw("map", around(1), key=Keys.SHIFT)
    assert page.selected() == 2 * N_BEADS
    page.draw("map", around(2), key=Keys.CONTROL)
    assert page.selected_rows() == rows_of(1)
    page.press("#undo")
    assert page.selected() == 2 * N_BEADS
    page.press("#redo")
    assert page.selected_rows() == rows_of(1)


def test_selections_are_undone_without_limit(page):
    press = (
        "for (let k = 0; k < 301; k++) "
        "document.querySelectorAll(arguments[0])[k % arguments[1]].click()"
    )
    before = page.selected_rows()
    page.run(press, ".cluster .choose", 2)
    assert page.selected() == N_BEADS and page.selected_rows() != before
    page.run(press, "#undo", 1)
    assert page.selected_rows() == before
    page.run(press, "#redo", 1)
    assert page.selected() == N_BEADS and page.selected_rows() != before


def test_cluster_selects_its_candidates(page, run):
    page.press(".cluster .choose", "Cluster 3")
    expected = np.flatnonzero(run.table.label == 3).tolist()
    assert page.selected_rows() == expected
    counts = "return document.querySelector('.tomogram .picked').textContent"
    page.press("#tab-tomograms")
    page.until(lambda: page.run(counts) == str(N_BEADS // 4))
    page.press("#tab-clusters")


def test_hidden_cluster_is_neither_drawn_nor_picked(page):
    page.press(".cluster:first-child .eye")
    page.until(lambda: page.data("map")["drawn"] == str(ROWS - N_BEADS))
    page.draw("map", around(0))
    assert page.selected() == 0
    page.press("#clusters-all")
    page.until(lambda: page.data("map")["drawn"] == str(ROWS))


def test_point_of_the_map_opens_the_tomogram_on_its_bead(page, run):
    page.click_at("map", on_map(*run.table.map_xy[BEAD]))
    x, y, z = run.table.coord[BEAD].tolist()
    page.until(lambda: page.data("slice")["shown"] == str(z))
    assert page.data("slice")["tomogram"] == "tomo1"
    here, apart = darkness(page, (x, y, z)), darkness(page, (x + 12, y + 9, z))
    assert here < apart - 40
    assert int(page.data("slice")["circles"]) > 0


def darkness(page, xyz):
    """Return the mean gray of the slice on the screen at a place of the tomogram."""
    p = json.loads(page.data("slice")["projection"])
    x, y = (
        sum(p[axis + a] * v for a, v in zip("xyz", xyz, strict=True)) + p[axis + "0"]
        for axis in "xy"
    )
    return page.run(
        "const c = document.getElementById('slice-image').getContext('2d');"
        "const seen = c.getImageData(arguments[0] - 1, arguments[1] - 1, 3, 3).data;"
        "return seen.filter((_, i) => i % 4 === 0).reduce((a, b) => a + b) / 9",
        round(x),
        round(y),
    )


def test_tomogram_that_is_gone_is_told_and_the_rest_works(page, run):
    elsewhere = N_BEADS + 2
    page.click_at("map", on_map(*run.table.map_xy[elsewhere]))
    note = page.driver.find_element("id", "slice-note")
    page.until(note.is_displayed)
    assert "gone.rec" in note.text
    page.click_at("map", on_map(*run.table.map_xy[BEAD]))
    page.until(lambda: page.data("slice")["tomogram"] == "tomo1")
    page.until(lambda: not note.is_displayed())


def test_class_is_named_undone_and_done_again(page):
    page.draw("map", around(2))
    page.name_selection("membrane")
    page.until(lambda: page.class_counts() == {"membrane": N_BEADS})
    page.press("#undo")
    page.until(lambda: page.class_counts() == {})
    page.press("#redo")
    page.until(lambda: page.class_counts() == {"membrane": N_BEADS})


def test_digit_key_assigns(page):
    from selenium.webdriver.common.keys import Keys

    page.draw("map", around(1))
    page.send("1")
    page.until(lambda: page.class_counts() == {"membrane": 2 * N_BEADS})
    page.send(Keys.CONTROL, "z")
    page.until(lambda: page.class_counts() == {"membrane": N_BEADS})


def test_similar_candidates_are_those_of_the_cluster(page, run, tmp_path):
    page.send("\ue00c")  # Escape
    page.click_at("map", on_map(*run.table.map_xy[BEAD]))
    page.press("#similar-find")
    page.until(page.driver.find_element("id", "similar").is_displayed)
    unit = unit_float16(run.table.embeddings)[0].astype("f4")
    scores = unit @ unit[BEAD]
    threshold = float(page.driver.find_element("id", "similar-value").text)
    sure = np.abs(scores - threshold) > 0.02
    above = set(np.flatnonzero((scores > threshold) & sure).tolist())
    shown = set(page.selected_rows())
    assert above <= shown
    assert not shown - above - set(np.flatnonzero(~sure).tolist())
    assert BEAD in shown
    page.keep_picture("explorer_similar")
    path = page.export("above the threshold", "parquet", ".parquet")
    exported = InteractiveTable.load(path)
    assert set(exported.row.tolist()) == shown
    np.testing.assert_allclose(exported.score, scores[exported.row], atol=0.01)
    page.press("#similar-close")


def test_gallery_takes_a_patch_out_and_back_in(page):
    page.draw("map", around(3))
    rows = page.selected_rows()
    tile = page.all(".tile")[0]
    tile.click()
    page.until(lambda: page.selected() == len(rows) - 1)
    tile.click()
    page.until(lambda: page.selected() == len(rows))


def test_bead_picked_in_the_slice_survives_a_killed_session(page, run):
    from selenium.webdriver.common.keys import Keys

    page.send(Keys.ESCAPE)
    page.press("#tab-tomograms")
    page.press(".tomogram .choose", "tomo1")
    x, y, z = run.table.coord[BEAD].tolist()
    page.go_to_slice(z)
    page.click_at("slice", (x, y, z))
    assert page.selected_rows() == [BEAD]
    page.name_selection("bead")
    page.until(lambda: page.class_counts()["bead"] == 1)
    run.session.stop(signal.SIGKILL)
    run.session.__exit__()
    run.session = run.start()
    page.open_again(run.session.address)
    assert page.class_counts() == {"membrane": N_BEADS, "bead": 1}
    path = page.export("bead", "txt", ".txt")
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    assert lines[1:] == [["tomo1", str(x), str(y), str(z)]]
    page.press("#undo")  # the name and what it was given to, in one step
    page.until(lambda: page.class_counts() == {"membrane": N_BEADS})
    page.press("#redo")
    page.until(lambda: page.class_counts() == {"membrane": N_BEADS, "bead": 1})


def test_keys_are_listed(page):
    page.send("?")
    help_dialog = page.driver.find_element("id", "help-dialog")
    page.until(help_dialog.is_displayed)
    assert "undo" in help_dialog.text
    page.press("#help-close")


def test_names_are_text_to_the_page(page):
    assert not page.all("img")
    assert page.driver.title.endswith("explorer")
    assert HOSTILE in page.run("return document.body.textContent")


def test_browser_asks_nobody_else(page):
    asked = {urlparse(url) for url in page.requests()}
    assert asked, "the log is empty"
    assert {url.hostname for url in asked if url.scheme != "data"} == {"localhost"}
    assert not any("token" in url.query for url in asked if "api" in url.path)
