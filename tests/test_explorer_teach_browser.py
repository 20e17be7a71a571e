"""Teaching a class in a real browser: questions, checks, and what is kept of them."""

import numpy as np
import pytest

from lib.artifacts import InteractiveTable
from tests.browser import need_browser
from tests.explorer_page import ExplorerPage
from tests.session_runs import Running, make_table, write_run

ROWS, KINDS = 200, 4
IS_KIND = np.arange(ROWS) % KINDS == 1
EXAMPLES = (1, 5, 9)
ANSWERS = 8


@pytest.fixture
def session(tmp_path):
    need_browser()
    # one candidate a place on the map, so that a click means one
    x, y = np.meshgrid(np.linspace(0.05, 0.95, 20), np.linspace(0.05, 0.95, 10))
    table = make_table(
        ROWS,
        KINDS,
        map_xy=np.stack([x.ravel(), y.ravel()], axis=1).astype("f4"),
        cloud=np.random.default_rng(1).random((ROWS, 3)).astype("f4"),
    )
    path = write_run(tmp_path / "test_sample", table)
    with Running("--input", path, cwd=tmp_path) as session:
        session.table, session.address = table, session.wait_ready()
        yield session


@pytest.fixture
def page(session, tmp_path):
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    page = ExplorerPage(session.address, downloads)
    yield page
    page.driver.quit()


def text(page, name):
    return page.driver.find_element("id", name).text


def wait_question(page, before=""):
    """Return the version that the page shows, after that before it."""

    def ready():
        shown = page.driver.find_element("id", "teach").get_attribute("data-ready")
        return shown if shown and shown != before else None

    return page.until(ready)


def asked_row(page):
    return int(page.driver.find_element("id", "teach").get_attribute("data-row"))


def answer(page, count):
    """Answer questions as the truth is, by keys."""
    shown = wait_question(page)
    for _ in range(count):
        page.send("y" if IS_KIND[asked_row(page)] else "n")
        shown = wait_question(page, shown)


def test_a_class_is_taught_checked_and_exported(page, session):
    for number, row in enumerate(EXAMPLES):
        x, y = session.table.map_xy[row]
        page.click_at("map", (65535 * x, 65535 * y, 0))
        page.send(" ")
        page.until(lambda n=number: page.selected() == n + 1)
    page.name_selection("ribosome")
    page.press("[aria-label='teach ribosome']")
    wait_question(page)
    assert "3 examples" in text(page, "teach-answers")
    assert asked_row(page) not in EXAMPLES
    page.keep_picture("teach_question")
    answer(page, ANSWERS)
    said = text(page, "teach-answers")
    assert sum(int(part.split()[0]) for part in said.split(" · ")[1:3]) == ANSWERS
    # what is above the threshold is selected, and it is the kind
    assert page.selected() == IS_KIND.sum()

    page.press("#teach-check")
    page.until(lambda: text(page, "teach-question").startswith("1 of 20"))
    answer(page, 20)
    page.until(lambda: "20 of 20 checked" in text(page, "teach-found"))
    assert "% right" in text(page, "teach-found")
    assert "missed" in text(page, "teach-found")
    page.keep_picture("teach_checked")
    page.press("#undo")
    page.until(lambda: "19 of 20 checked" in text(page, "teach-found"))
    answer(page, 1)

    kind = int(IS_KIND.sum())
    page.press("#teach-put")
    page.until(lambda: page.class_counts() == {"ribosome": kind})
    page.keep_picture("teach_put")
    picked = InteractiveTable.load(page.export("scored list", "parquet", ".parquet"))
    np.testing.assert_array_equal(picked.row, np.flatnonzero(IS_KIND))
    assert picked.score.min() >= 0.5

    # all of it is there when the page is opened again
    page.open_again(session.address)
    page.send("t")
    wait_question(page)
    assert "20 of 20 checked" in text(page, "teach-found")
    assert page.selected() == kind


def test_teach_asks_for_examples_first(page):
    page.send("t")
    toast = page.until(lambda: text(page, "toast"))
    assert "Name a few examples first" in toast
    page.name_selection("empty")
    page.press("[aria-label='teach empty']")
    page.until(lambda: "Put a few examples into empty first" in text(page, "toast"))
    assert not page.driver.find_element("id", "teach").is_displayed()
