"""The files of coordinates that a run was made from, and the runs those came from."""

from dataclasses import dataclass
from pathlib import PurePath

from lib.run.config import take

COORDS, EXCLUDE = "coords", "exclude_coords"
TRAINING, EMBEDDING = "training", "embedding"
MOST_GENERATIONS = 20
# Of what is known of a file; None stands for what is not known.
_KINDS = {
    "path": str,
    "digest": str,
    "positions": int,
    "use": str,
    "step": str,
    "exp_id": str,
    "fingerprint": str,
    "rows": int,
    "generation": int,
}


@dataclass(frozen=True)
class GivenFile:
    """A file of coordinates that decided the candidates of a run.

    Attributes
    ----------
    path : str
    digest : str
        Of its content.
    positions : int
        That were used, each once.
    use : {"coords", "exclude_coords"}
        Option that named it.
    step : {"training", "embedding"}
        Whose candidates it decided.
    exp_id : str or None
        Run in which the positions were picked, where the file says.
    fingerprint : str or None
        Of the table they were picked from, see `lib.artifacts.fingerprints`.
    rows : int or None
        Of that table.
    generation : int
        0 for a file of this run, 1 for a file of the run it was picked in, and so on.
    """

    path: str
    digest: str | None = None
    positions: int | None = None
    use: str = COORDS
    step: str | None = None
    exp_id: str | None = None
    fingerprint: str | None = None
    rows: int | None = None
    generation: int = 0


def take_given(values):
    """Return the files in a list of plain types; None gives none.

    Raises
    ------
    ValueError
        If a fact is of another kind than a run writes.
    """
    files = []
    for value in values or ():
        found = value if isinstance(value, GivenFile) else take(GivenFile, value)
        for key, kind in _KINDS.items():
            fact = getattr(found, key)
            if not (fact is None or type(fact) is kind):
                raise ValueError(f"{key} of a file of coordinates is {fact!r}")
        if found.path is None or found.generation is None:
            raise ValueError("a file of coordinates has no path")
        files.append(found)
    return tuple(files)


def describe_history(files):
    """Return a line for each file that a run was made from, the newest first.

    Parameters
    ----------
    files : sequence of GivenFile

    Returns
    -------
    list of str
    """
    steps = {}
    for file in files:
        key = (file.generation, file.use, file.digest or file.path)
        steps.setdefault(key, (file, []))[1].append(file.step)
    return [
        _describe(file, done)
        for _, (file, done) in sorted(steps.items(), key=lambda item: item[0][:2])
    ]


def _describe(file, steps):
    done = " and ".join(
        word
        for step, word in ((TRAINING, "trained on"), (EMBEDDING, "embedded"))
        if step in steps
    )
    if file.use == EXCLUDE:
        done = "left out what is near"
    earlier = "before that, " * bool(file.generation)
    count = "" if file.positions is None else f"{file.positions:,} "
    picked = "" if file.exp_id is None else f" picked in run {file.exp_id}"
    if picked and file.rows is not None:
        picked += f" of {file.rows:,} candidates"
    path = "/".join(PurePath(file.path).parts[-2:])
    return f"{earlier}{done or 'from'} {count}positions{picked} ({path})"
