"""A real browser, for the tests of the pages of the session."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

# Seconds; a slow machine is not wrong.
PATIENCE = int(os.environ.get("BROWSER_PATIENCE", "300"))


def find_browser():
    """Return (browser, driver), or None for each that is not here."""
    names = ("chromium", "google-chrome", "chromium-browser")
    return next(filter(None, map(shutil.which, names)), None), shutil.which(
        "chromedriver"
    )


def need_browser():
    """Skip the test on a machine without a browser, unless REQUIRE_BROWSER is set."""
    browser, driver = find_browser()
    if not (browser and driver) and not os.environ.get("REQUIRE_BROWSER"):
        pytest.skip("no chromium with chromedriver on this machine")
    assert browser and driver, "chromium and chromedriver are needed (REQUIRE_BROWSER)"


class Browser:
    """A page in a browser; every step waits for what it needs, then goes on.

    Parameters
    ----------
    address : str
    downloads : Path
        Folder that the browser writes to.
    size : tuple of int
        Width and height of the window.
    arguments : sequence of str
        Further ones of the browser.
    """

    def __init__(self, address, downloads, *, size=(1280, 860), arguments=()):
        from selenium import webdriver

        self.downloads = downloads
        browser, driver = find_browser()
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--window-size={},{}".format(*size),
            *arguments,
        ):
            options.add_argument(argument)
        prefs = {"download.default_directory": str(downloads)}
        options.add_experimental_option("prefs", prefs)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        service = webdriver.ChromeService(driver)
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.get(address)

    def until(self, found):
        """Return the first thing `found` returns that is true."""
        from selenium.common.exceptions import WebDriverException

        end = time.monotonic() + PATIENCE
        while True:
            try:
                if value := found():
                    return value
            except WebDriverException:
                # the page has redrawn the element meanwhile: look for it again
                pass
            assert time.monotonic() < end, f"waited in vain on {self.driver.title}"
            time.sleep(0.1)

    def all(self, css):
        return self.driver.find_elements("css selector", css)

    def run(self, script, *values):
        return self.driver.execute_script(script, *values)

    def press(self, css, text=None):
        """Click the element that is there and shows `text`."""

        def click():
            for element in self.all(css):
                if text is None or text in element.get_attribute("textContent"):
                    self.driver.execute_script(
                        "arguments[0].scrollIntoView({block: 'nearest'})", element
                    )
                    element.click()
                    return True
            return False

        self.until(click)

    def keep_picture(self, name):
        if folder := os.environ.get("SESSION_PICTURES"):
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))

    def downloaded(self, ending=".parquet"):
        return [path for path in self.downloads.iterdir() if path.suffix == ending]

    def requests(self):
        """Return the addresses that the browser has asked for."""
        entries = [json.loads(e["message"]) for e in self.driver.get_log("performance")]
        return [
            entry["message"]["params"]["request"]["url"]
            for entry in entries
            if entry["message"]["method"] == "Network.requestWillBeSent"
        ]
