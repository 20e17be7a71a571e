"""What a run says about itself: opts.txt and log.txt."""

import platform
import shlex
import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from lib.artifacts import whole_file

LIBRARIES = ("torch", "numpy", "scipy", "mrcfile", "scikit-learn", "umap-learn")
COLUMNS = (
    ("epoch", "d"),
    ("loss", ".6f"),
    ("cosine_loss", ".6f"),
    ("output_std", ".5f"),
    ("effective_rank", ".1f"),
    ("lr", ".3e"),
    ("time", ".1f"),
)


def write_options(path, options, facts):
    """Write versions, command line and every option.

    Parameters
    ----------
    path : path-like
    options : dict
    facts : dict
        What the run found out: device, start of the trunk, number of candidates.
    """
    with whole_file(path, "w") as stream:
        print(f"# {datetime.now():%Y-%m-%d %H:%M:%S} on {platform.node()}", file=stream)
        print(f"command: {shlex.join([sys.executable, *sys.argv])}", file=stream)
        print(f"python: {platform.python_version()}", file=stream)
        for library in LIBRARIES:
            print(f"{library}: {_version(library)}", file=stream)
        for group, content in (("found", facts), ("options", options)):
            print(f"\n==> {group}", file=stream)
            for key, value in sorted(content.items()):
                print(f"{key}: {value}", file=stream)


def write_log(path, history):
    """Write one line an epoch.

    The whole history is written each time: it is short, and a resumed run then has
    each epoch once, whenever it was interrupted.

    Parameters
    ----------
    path : path-like
    history : list of dict
        With the keys of `COLUMNS`.
    """
    with whole_file(path, "w") as stream:
        for entry in history:
            print(
                " | ".join(f"{key} {entry[key]:{form}}" for key, form in COLUMNS),
                file=stream,
            )


def _version(library):
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
