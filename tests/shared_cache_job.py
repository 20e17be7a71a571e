"""A job that prepares an image list into a cache that others use at the same time.

Started by the tests as a process of its own. Looks and moves take as long as over a
network; its workers import this file as well, so that they are slowed too.
"""

import os
import pathlib
import sys
import tempfile
import time

from lib.inputs.image_list import read_image_list
from lib.patches import making, preparation
from lib.patches.options import PatchOptions

SECONDS = float(os.environ.get("SLOWED_BY", "0"))
OPTIONS = {"box": 8, "sigmas": (1.5, 3.0), "gauss": 0.8, "order": "zxy"}
OPTIONS |= {"dog_boundary": 6, "dog_diameter": 8}


def slowed(call):
    """Return a system call that takes longer."""

    def wait_and_call(*arguments, **more):
        time.sleep(SECONDS)
        return call(*arguments, **more)

    return wait_and_call


for name in ("stat", "rename") if SECONDS else ():
    setattr(os, name, slowed(getattr(os, name)))
    if hasattr(pathlib, "_NormalAccessor"):  # Python 3.10 keeps them apart
        setattr(pathlib._NormalAccessor, name, staticmethod(getattr(os, name)))

load_tomogram = making.load_tomogram


def note_and_load(row, *arguments, **more):
    """Note that a tomogram is prepared, and go on."""
    with pathlib.Path(os.environ["PREPARED"]).open("a") as stream:
        stream.write(f"{row.name}\n")
    return load_tomogram(row, *arguments, **more)


def prepare(listed, cache, workers):
    """Prepare an image list as the scripts do."""
    listed = pathlib.Path(listed)
    rows = read_image_list(
        listed, project=listed.parent, needs_tilts=False, order="zxy"
    )
    options = PatchOptions("simsiam3d", **OPTIONS)
    return preparation.prepare_store(rows, options, cache=cache, workers=workers)


def become(user, group, umask):
    """Go on as another user, of a group of people who work together."""
    os.setgroups([group])
    os.setgid(user)
    os.setuid(user)
    os.umask(umask)


preparation_is_noted = "PREPARED" in os.environ
if __name__ == "__main__":
    listed, cache, workers, *identity = sys.argv[1:]
    if identity:
        # First all modules are loaded: the other user may not read the project.
        with tempfile.TemporaryDirectory() as scratch:
            prepare(listed, scratch, workers=0)
        become(*(int(text, 8 if text.startswith("0") else 10) for text in identity))
if preparation_is_noted:
    making.load_tomogram = note_and_load
if __name__ == "__main__":
    store = prepare(listed, cache, int(workers))
    print(len(store))
