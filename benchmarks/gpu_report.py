"""The report of a run on a GPU: one file of Markdown, written anew after each stage."""

from datetime import datetime

from lib.artifacts import atomic_write

HEADER = ("what", "ours", "floor", "ratio", "goal", "met", "peak GPU memory")


class Report:
    """What is known so far, on disk.

    Parameters
    ----------
    path : path-like
    command : str
        That makes it.
    names : list of str
        Stages that are to run.
    """

    def __init__(self, path, command, names):
        self.path, self.command, self.names = path, command, names
        self.began = datetime.now()
        self.outcomes = {}
        self.write()

    @property
    def failed(self):
        """Whether any stage did not come to its end, or found a fault."""
        return any(
            outcome.verdict != "done" or any(row.detail for row in outcome.rows)
            for outcome in self.outcomes.values()
        )

    def add(self, name, outcome):
        """Take in a stage and bring it to disk.

        Raises
        ------
        KeyboardInterrupt
            After writing, when the stage was interrupted.
        """
        self.outcomes[name] = outcome
        self.write()
        if outcome.verdict == "interrupted":
            raise KeyboardInterrupt

    def write(self):
        """Write the file."""
        with atomic_write(self.path, "w") as stream:
            stream.write("\n".join(self.lines()) + "\n")

    def lines(self):
        """Return the lines of the file."""
        waiting = [name for name in self.names if name not in self.outcomes]
        lines = [
            "# What a GPU did",
            "",
            f"`{self.command}`, {self.began:%Y-%m-%d %H:%M}.",
            "",
            "Ours beside a floor of the same run: the bare network on views that lie",
            "on the GPU, the Gaussians of the search alone, the copy alone. A ratio",
            "holds from one machine to another, a time does not. The peak is of what",
            "PyTorch allocated on the GPU.",
        ]
        if waiting:
            lines += ["", f"Not there yet: {', '.join(waiting)}."]
        for name, outcome in self.outcomes.items():
            lines += ["", f"## {name}", "", *_outcome(outcome)]
        return lines


def _outcome(outcome):
    lines = []
    if outcome.verdict != "done":
        lines += [f"**{outcome.verdict}** after {outcome.seconds:.0f} s.", ""]
    if outcome.rows:
        lines += table(outcome.rows)
    for text in (outcome.error, *(row.detail for row in outcome.rows)):
        if text:
            lines += ["", "```", text.replace("```", "'''"), "```"]
    return lines


def table(rows):
    """Return rows as lines of Markdown, without the columns that none of them fills."""
    cells = [HEADER, *map(_cells, rows)]
    kept = [n for n in range(len(HEADER)) if any(line[n] for line in cells[1:])]
    text = ["| " + " | ".join(line[n] for n in kept) + " |" for line in cells]
    return [text[0], "|" + ":--|" * len(kept), *text[1:]]


def _cells(row):
    return (
        row.what.replace("|", "/"),
        row.ours.replace("|", "/").replace("\n", " "),
        row.floor,
        "" if row.ratio is None else f"{row.ratio:.3f}",
        row.goal,
        {None: "", True: "yes", False: "**no**"}[row.met],
        "" if row.memory is None else f"{row.memory / 1e9:.2f} GB",
    )
