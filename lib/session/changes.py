"""Changes of classes: what the page sends, what is kept of it, and what it is called.

A change is a dictionary in the types of json, with what is done as ``op``.
"""

import json
import re
import unicodedata

from lib.errors import InputError
from lib.session.requests import pack_rows, unpack_rows

LONGEST_NAME = 100
LONGEST_ORIGIN = 50_000  # characters of what a selection came from
COLORS = [
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#999999",
    "#88ccee",
    "#44aa99",
]
# What a change of each kind holds beside ``op``, as the page sends it.
CHANGES = {
    "class": ("name", "color"),
    "rename": ("class", "name"),
    "recolor": ("class", "color"),
    "remove": ("class",),
    "assign": ("class", "name", "color", "rows", "how"),
    "merge": ("clusters", "into"),
    "teach": ("class", "examples"),
    "answer": ("class", "row", "yes"),
    "check": ("class", "threshold", "drawn"),
    "undo": (),
    "redo": (),
}


def kind_of(change):
    """Return what a change does: a key of `CHANGES`."""
    op = change.get("op")
    if not isinstance(op, str) or op not in CHANGES:
        raise InputError(f"{op!r} is not a change of classes")
    return op


def tidy(name):
    """Return a name with single spaces; empty if it is no text."""
    return " ".join(name.split()) if isinstance(name, str) else ""


def read_name(text):
    """Return the name of a class, with single spaces."""
    name = tidy(text)
    if not name:
        raise InputError("a class needs a name")
    if len(name) > LONGEST_NAME:
        raise InputError(f"the name of a class has at most {LONGEST_NAME} letters")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise InputError("the name of a class is text, without control characters")
    return name


def read_color(text):
    """Return a color in lower case."""
    if not isinstance(text, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise InputError(f"{text!r} is not a color such as #e69f00")
    return text.lower()


def normal_change(change, classes):
    """Return a change of the page in the form that the journal keeps.

    Rows are packed, and a class that is made has its number. To put rows into a class
    by its ``name`` makes the class if there is none, as one change.

    Parameters
    ----------
    change : dict
        ``op``, and what `CHANGES` lists; all else is left out.
    classes : lib.session.classes.Classes
        That it is to be applied to.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If the page sent something else.
    """
    op = kind_of(change)
    told = {key: change.get(key) for key in CHANGES[op]}
    kept = {"op": op, **{key: v for key, v in told.items() if v is not None}}
    known = None
    if op == "assign":
        n = len(classes.of_row)
        kept["rows"] = pack_rows(unpack_rows(change.get("rows"), n), n)
        if len(json.dumps(kept.get("how"))) > LONGEST_ORIGIN:
            raise InputError("how the selection was made takes too much room")
        known = classes.find(tidy(kept.get("name")))
    if op == "merge":
        kept["clustering"] = classes.clustering
    if known is not None:
        del kept["name"]
        kept["class"] = known.id
    elif op == "class" or (op == "assign" and "name" in kept):
        kept.pop("class", None)
        kept["id"] = classes.free_number()
        kept.setdefault("color", COLORS[(kept["id"] - 1) % len(COLORS)])
    return kept


def describe_change(change, classes):
    """Return a change in words, for the buttons that undo and redo it."""
    op = change["op"]
    if op == "assign":
        count = len(unpack_rows(change["rows"], len(classes.of_row)))
        if "id" in change:
            return f"name {count:,} candidates “{tidy(change['name'])}”"
        if not change["class"]:
            return f"take {count:,} candidates out"
    known = None if "id" in change else classes.classes.get(change.get("class"))
    name = f"“{known.name}”" if known else "a class"
    if op == "assign":
        return f"put {count:,} candidates into {name}"
    return {
        "class": f"make the class “{tidy(change.get('name'))}”",
        "rename": f"rename a class to “{tidy(change.get('name'))}”",
        "recolor": f"recolor {name}",
        "remove": f"remove {name}",
        "merge": "merge clusters",
        "teach": f"begin to teach {name}",
        "answer": f"answer about {name}",
        "check": f"check {name}",
    }[op]
