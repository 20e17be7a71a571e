"""What a check found, stored in the cache folder and used again by later runs.

A finding holds as long as the files, the options and the source code of the check
are the same.
"""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from lib.artifacts import atomic_write
from lib.artifacts.fingerprints import code_digest, digest_of, file_marks
from lib.errors import UserError

# The source code of the checks.
MEASURING = ("axis_orders.py", "geometry/*.py", "inputs/*.py")


class StoredFindings:
    """Findings of one kind of check in a cache folder.

    Parameters
    ----------
    folder : path-like or None
        Of the cache; with None, everything is measured and nothing is stored.
    kind : str
        Begins the names of the files.

    Attributes
    ----------
    reused : int
        Findings that need not be measured so far.
    """

    def __init__(self, folder, kind):
        self.folder = None if folder is None else Path(folder)
        self.kind = kind
        self.reused = 0

    def get(self, paths, options, *, decode, measure):
        """Return the finding of some files, measured when it is not stored.

        Parameters
        ----------
        paths : list of Path
            Files that are compared.
        options : list
            What the finding depends on besides them, as json knows it.
        decode : callable
            Makes a finding of the dictionary of its fields.
        measure : callable
            Returns the finding, a dataclass.
        """
        if self.folder is None:
            return measure()
        path = self.folder / f"{self.kind}-{_key(paths, options)}.json"
        with suppress(OSError, ValueError, KeyError, TypeError):
            finding = decode(json.loads(path.read_text(encoding="utf-8")))
            self.reused += 1
            return finding
        finding = measure()
        # A finding that cannot be stored is only measured again.
        with suppress(UserError, OSError), atomic_write(path, "w") as stream:
            json.dump(asdict(finding), stream)
        return finding

    def report(self, total):
        """Print one line if findings were reused."""
        if self.reused:
            print(
                f"{self.kind}: {self.reused} of {total} tomograms were checked before "
                "(same files, same options); the findings are used again",
                flush=True,
            )


def _key(paths, options):
    return digest_of(file_marks(paths), options, code_digest(MEASURING))
