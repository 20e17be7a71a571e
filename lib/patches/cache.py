"""The cache of candidates and patches: its folder, what it holds, how it is freed."""

import json
import re
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from lib.artifacts import Watch, claim, remove_at_once, remove_partial_files
from lib.artifacts.fingerprints import code_digest
from lib.errors import OptionError, user_files
from lib.patches.entries import COORDS, METADATA
from lib.patches.keys import CUTTING, FINDING
from lib.system.ranks import ALONE

CACHE_NAME = ".patches"
ENTRY = re.compile(r"(candidates|patches)-[0-9a-f]{24}")
# Version 1 named its folders by the digest alone, and kept both kinds in one.
EARLIER_ENTRY, EARLIER_METADATA = re.compile(r"[0-9a-f]{24}"), "facts.json"
EARLIER = "earlier version"
# What `lib.geometry.stored_findings` keeps of its checks, in the same folder.
FINDINGS = re.compile(r"(geometry|contrast)-[0-9a-f]{24}\.json")
DAY = 24 * 3600  # seconds


@contextmanager
def cache_folder(exp_dir, *, cache_dir=None, no_cache=False, ranks=ALONE):
    """Yield the folder of the cache; with `no_cache` it goes when the block ends."""
    if no_cache and ranks.world > 1:
        raise OptionError(
            "--no_cache makes a folder for one process, and several share the patches "
            "here; leave it out, or name a folder with --cache_dir and remove it after"
        )
    folder = Path(cache_dir) if cache_dir else Path(exp_dir) / CACHE_NAME
    if not no_cache:
        yield folder
        return
    with user_files(folder):
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(dir=folder, prefix="once-")
    with temporary as once:
        yield Path(once)


@dataclass(frozen=True)
class CacheEntry:
    """An entry of the cache, as it is listed.

    Attributes
    ----------
    folder : Path
    kind : {"candidates", "patches", "earlier version"}
    tomogram : str
    candidates : int
    size : int
        [bytes].
    used : float
        When it was made or used last [seconds since the epoch].
    is_current : bool
        Whether the source code of today would make it.
    """

    folder: Path
    kind: str
    tomogram: str
    candidates: int
    size: int
    used: float
    is_current: bool


def list_cache(folder):
    """Return the entries in a folder, by tomogram; what is not ours is left out.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    list of CacheEntry
    """
    with user_files(folder):
        paths = sorted(folder.iterdir()) if folder.exists() else []
    entries = [_describe(path) for path in paths if path.is_dir()]
    found = [entry for entry in entries if entry is not None]
    return sorted(found, key=lambda entry: (entry.tomogram, entry.kind, entry.used))


def print_cache(folder):
    """Print a table of the entries in a folder, and their sizes."""
    entries = list_cache(folder)
    columns = "{:<24} {:<16} {:>10} {:>10}  {:<16}  {}"
    if entries:
        titles = ("tomogram", "kind", "candidates", "MB", "last used", "made by")
        print(columns.format(*titles))
    for entry in entries:
        print(
            columns.format(
                entry.tomogram,
                entry.kind,
                f"{entry.candidates:,}",
                f"{entry.size / 1e6:,.1f}",
                f"{datetime.fromtimestamp(entry.used):%Y-%m-%d %H:%M}",
                "this code" if entry.is_current else "other code",
            )
        )
    size = sum(entry.size for entry in entries)
    print(f"{_count(len(entries))} in {folder}, {size / 1e9:.2f} GB")


def clear_cache(folder, *, outdated_only=False, unused_days=None):
    """Remove entries that no running job prepares, and print what was removed.

    The small files with the findings of the checks go too, unless `outdated_only`.

    Parameters
    ----------
    folder : Path
    outdated_only : bool
        Keep what the source code of today would make.
    unused_days : float, optional
        Keep what was used in as many days.
    """
    before = time.time() - DAY * (unused_days or 0)
    chosen = {
        entry.folder: entry
        for entry in list_cache(folder)
        if not (outdated_only and entry.is_current)
        and (unused_days is None or entry.used < before)
    }
    size, count = 0, len(chosen)
    for path in Watch(folder).free(chosen) if chosen else []:
        with claim(path) as mine:
            if mine and remove_at_once(path):
                size += chosen.pop(path).size
    if folder.exists():
        remove_partial_files(folder)
        if not outdated_only:
            _remove_findings(folder, before)
    removed = _count(count - len(chosen))
    print(f"removed {removed} from {folder}, {size / 1e9:.2f} GB")
    if chosen:
        print(f"not removed: {_count(len(chosen))}, prepared by running jobs")


def _count(number):
    return "1 entry" if number == 1 else f"{number} entries"


def _remove_findings(folder, before):
    """Remove the findings of checks that were written before a time."""
    with user_files(folder):
        for path in folder.iterdir():
            if FINDINGS.fullmatch(path.name) and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)


def _describe(path):
    """Return the entry in a folder, or None."""
    name = ENTRY.fullmatch(path.name)
    if name is None and not EARLIER_ENTRY.fullmatch(path.name):
        return None
    file = path / (METADATA if name else EARLIER_METADATA)
    if name is None and not file.exists():
        return None
    known, used, candidates = {}, path.stat().st_mtime, 0
    with suppress(OSError, ValueError):  # a damaged one can be freed all the same
        used = file.stat().st_mtime
        known = json.loads(file.read_text())
        candidates = len(np.load(path / COORDS, mmap_mode="r", allow_pickle=False))
    digests = {"candidates": code_digest(FINDING), "patches": code_digest(CUTTING)}
    kind = name[1] if name else EARLIER
    return CacheEntry(
        folder=path,
        kind=kind,
        tomogram=str(known.get("name", "(damaged)")),
        candidates=candidates,
        size=sum(part.stat().st_size for part in path.iterdir()),
        used=used,
        is_current=kind in digests and known.get("code") == digests[kind],
    )
