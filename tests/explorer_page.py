"""The explorer in a browser, steered as a user does: pointer, keys and text."""

import json

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.browser import Browser

CANVASES = {
    "map": ("map-points", "map-overlay"),
    "slice": ("slice-image", "slice-overlay"),
}


class ExplorerPage(Browser):
    """The page of a session; `panel` is "map" or "slice"."""

    def __init__(self, address, downloads, size=(1280, 860)):
        super().__init__(address, downloads, size=size)
        self.wait_ready()

    def wait_ready(self):
        self.until(lambda: self.run("return document.body.dataset.ready"))

    def open_again(self, address):
        self.driver.get(address)
        self.wait_ready()

    def data(self, panel):
        """Return what the picture of a panel shows, as its canvas tells."""
        script = "return {...document.getElementById(arguments[0]).dataset}"
        return self.run(script, CANVASES[panel][0])

    def place(self, panel, xyz):
        """Return the offset of a point from the middle of a panel, in CSS pixels."""
        projection = json.loads(self.data(panel)["projection"])
        ratio, width, height = self.run(
            "const c = document.getElementById(arguments[0]);"
            "const box = c.getBoundingClientRect();"
            "return [c.width / box.width, box.width, box.height]",
            CANVASES[panel][1],
        )
        x, y = (
            sum(projection[axis + a] * v for a, v in zip("xyz", xyz, strict=True))
            + projection[axis + "0"]
            for axis in "xy"
        )
        return x / ratio - width / 2, y / ratio - height / 2

    def overlay(self, panel):
        return self.driver.find_element("id", CANVASES[panel][1])

    def click_at(self, panel, xyz):
        x, y = self.place(panel, xyz)
        actions = ActionChains(self.driver, duration=50)
        actions.move_to_element_with_offset(self.overlay(panel), round(x), round(y))
        actions.click().perform()

    def draw(self, panel, corners, key=None):
        """Draw a lasso through points of a panel, perhaps while a key is held."""
        self.press("#tool-lasso")
        overlay = self.overlay(panel)
        places = [tuple(map(round, self.place(panel, xyz))) for xyz in corners]
        actions = ActionChains(self.driver, duration=20)
        if key:
            actions.key_down(key)
        actions.move_to_element_with_offset(overlay, *places[0]).click_and_hold()
        for place in places[1:]:
            actions.move_to_element_with_offset(overlay, *place)
        actions.release()
        if key:
            actions.key_up(key)
        actions.perform()
        self.press("#tool-move")

    def selected(self):
        """Return the number of selected candidates."""
        text = self.driver.find_element("id", "selection-count").text
        return int(text.replace(",", ""))

    def selected_rows(self):
        """Return the rows whose patches the gallery holds, all in sight."""
        count = str(self.selected())
        self.until(lambda: self.gallery_rows() == count)
        tiles = self.all(".tile:not(.out)")
        return sorted(int(tile.get_attribute("data-row")) for tile in tiles)

    def gallery_rows(self):
        return self.all("#gallery")[0].get_attribute("data-rows")

    def go_to_slice(self, index):
        """Move the slider; return when the slice is shown."""
        self.run(
            "const slider = document.getElementById('slice-index');"
            "slider.value = arguments[0];"
            "slider.dispatchEvent(new Event('input', {bubbles: true}))",
            index,
        )
        self.until(lambda: self.data("slice")["shown"] == str(index))

    def name_selection(self, name):
        self.driver.find_element("id", "class-name").send_keys(name + Keys.ENTER)
        self.until(lambda: name in self.class_counts())

    def class_counts(self):
        """Return the number of candidates in each class."""
        items = self.all("#class-list .choose")
        parts = [item.find_elements("css selector", "*") for item in items]
        return {name.text: int(count.text.replace(",", "")) for name, count in parts}

    def send(self, *keys):
        """Press keys while nothing has the focus."""
        self.run("document.activeElement.blur()")
        actions = ActionChains(self.driver)
        held = [key for key in keys if key in (Keys.CONTROL, Keys.SHIFT)]
        for key in keys:
            actions.key_down(key) if key in held else actions.send_keys(key)
        for key in held:
            actions.key_up(key)
        actions.perform()

    def export(self, what, kind, ending):
        """Export through the dialog; return the file that the browser got."""
        before = set(self.downloaded(ending))
        self.press("#export-open")
        for menu, text in (("export-what", what), ("export-format", kind)):
            self.press(f"#{menu} option", text)
        self.press("#export-write")
        new = self.until(lambda: set(self.downloaded(ending)) - before)
        self.press("#export-cancel")
        return new.pop()
