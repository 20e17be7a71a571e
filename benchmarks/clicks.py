"""From a few answers to a scored list: order, calibration and checks, measured.

    python benchmarks/clicks.py exp/simsiam3d/sim/all_output_info.npz --set sim_low

Candidates of a labeled set (`benchmarks/simulate.py`), by the documented embedding.
Each class in turn is what is searched for; all other candidates, crowders and
background included, are not. Average precision of the order, over candidates further
than 12 voxels from one that was answered about; means over the classes and draws:

- *similar*: cosine to so many examples at random;
- *teach, examples*: the same, by `lib.picking.teaching.teach`;
- *teach, half no*: one half are examples, the other are others at random;
- *similar, half no*: the likeness to these examples;
- *teach, asked*: five examples, then the most doubtful as the page asks them;
- *similar, asked*: the likeness to the yes among those;
- all labels: logistic regression of five folds.

Then the calibration of the probability, and simulated sessions: five examples, 15
doubtful ones, a check of 10 above and 10 below a threshold of 0.2 (and of 20 and 20),
at prevalence 0.005 and 0.05 (candidates are drawn to give it): how often the intervals
hold the true precision and the true number missed, and how wide they are.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import quality_metrics as metrics
from benchmarks.quality_labels import CROWDER, REACH, read_truth
from lib.artifacts import EmbeddingTable
from lib.errors import run_script
from lib.picking.likeness import similarity, unit_float16
from lib.picking.questions import draw_checks, estimate, most_doubtful
from lib.picking.teaching import teach

ANSWERS = (1, 5, 10, 20, 40)
BEGIN = 5  # examples before teaching begins
SESSION = 15  # doubtful answers of a simulated session
FEWEST = 40  # candidates of a class that is searched for
PREVALENCES = (0.005, 0.05)
THRESHOLD = 0.2  # of probability, in these sessions
CHECKS = (10, 20)  # above, and as many below
EXACT = 1e-9  # rounding of a share
APART = 12  # voxels: nearer ones show the same particle
LEVELS = (0, 0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.01)


def main():
    """Print the tables of one embedding."""
    options = _options()
    table = EmbeddingTable.load(options.table)
    truth = read_truth(options.set, table.record)
    kinds = _kinds(table, truth)
    near = _near(table)
    for name in options.features:
        unit, _ = unit_float16(getattr(table, name))
        print(f"\n`{name}`, {len(unit):,} candidates\n")
        _orders(unit, kinds, near, options)
        _sessions(unit, kinds, options)


def _kinds(table, truth):
    """Return the class of the particle that each candidate belongs to, or ''."""
    matches = metrics.match(
        table.name, table.coords, truth.names, truth.positions, REACH
    )
    kinds = np.append(truth.classes, "")[matches.particle]
    return np.where(kinds == CROWDER, "", kinds)


def _near(table):
    """Return the pairs of candidates within `APART` of each other, as a matrix."""
    near = cKDTree(metrics.separate_tomograms(table.name, table.coords))
    return near.sparse_distance_matrix(near, APART, output_type="coo_matrix").tocsr()


WAYS = [
    f"{way}, {of}"
    for of in ("examples", "half no", "asked")
    for way in ("similar", "teach")
]


def _orders(unit, kinds, near, options):
    """Print the average precision after some answers, and the calibration."""
    precision = {(way, n): [] for way in WAYS for n in ANSWERS}
    pairs, every = [], []
    names, counts = np.unique(kinds[kinds != ""], return_counts=True)
    for name in names[counts >= FEWEST]:
        is_kind = kinds == name
        every.append(_of_all_labels(unit, is_kind))
        for draw in range(options.draws):
            for of, n, known, n_asked in _answers(unit, is_kind, draw):
                yes = [row for row, is_yes in known.items() if is_yes]
                taught = _taught(unit, known, n_asked)
                alike = similarity(unit, yes)
                for way, score in (("teach", taught), ("similar", alike)):
                    found = _precision(score, is_kind, near, list(known))
                    precision[f"{way}, {of}", n].append(found)
                if of == "asked":
                    rest = np.setdiff1d(np.arange(len(unit)), list(known))
                    pairs.append((n, taught[rest], is_kind[rest]))
    print("| answers | " + " | ".join(map(str, ANSWERS)) + " | all labels |")
    print("|:--" * (len(ANSWERS) + 2) + "|")
    for way in WAYS:
        found = [precision[way, n] for n in ANSWERS]
        cells = [f"{np.mean(f):.3f}" if f else "" for f in found]
        print(f"| {way} | {' | '.join(cells)} | {np.mean(every):.3f} |")
    asked = [n for n in ANSWERS if n > BEGIN]
    print("\n| probability | " + " | ".join(f"{n} answers" for n in asked) + " |")
    print("|:--" * (len(asked) + 1) + "|")
    for low, high in zip(LEVELS, LEVELS[1:], strict=False):
        cells = [_share([p for p in pairs if p[0] == n], low, high) for n in asked]
        print(f"| {low:g} to {high:g} | {' | '.join(cells)} |")


def _answers(unit, is_kind, draw):
    """Yield how answers came about, how many, and them: a bool for each row."""
    rng = np.random.default_rng(draw)
    clicks = rng.permutation(np.flatnonzero(is_kind))[: max(ANSWERS)].tolist()
    others = rng.permutation(np.flatnonzero(~is_kind)).tolist()
    for n in ANSWERS:
        yield "examples", n, dict.fromkeys(clicks[:n], True), 0
        if n > 1:
            half = dict.fromkeys(clicks[: (n + 1) // 2], True)
            yield "half no", n, half | dict.fromkeys(others[: n // 2], False), 0
    known = dict.fromkeys(clicks[:BEGIN], True)
    for n in range(BEGIN + 1, max(ANSWERS) + 1):
        _ask(unit, known, is_kind)
        if n in ANSWERS:
            yield "asked", n, known, sum(known.values()) - BEGIN


def _ask(unit, known, is_kind):
    """Answer the question that the page would ask next."""
    score = _taught(unit, known, sum(known.values()) - BEGIN)
    row = int(most_doubtful(score, unit, list(known), count=1)[0])
    known[row] = bool(is_kind[row])


def _share(pairs, low, high):
    """Return the share that is of the kind, among those of some probability."""
    said = np.concatenate([score for _, score, _ in pairs])
    true = np.concatenate([is_kind for _, _, is_kind in pairs])
    inside = (said >= low) & (said < high)
    if not inside.any():
        return ""
    return f"{true[inside].mean():.3f} ({said[inside].mean():.3f} said)"


def _taught(unit, known, n_asked):
    rows, yes = np.array(list(known)), np.array(list(known.values()))
    return teach(unit, unit[rows[yes]], unit[rows[~yes]], n_asked=n_asked, seed=0)


def _precision(score, is_kind, near, known):
    """Return the average precision over candidates away from the known ones."""
    others = np.asarray(near[known].sum(axis=0)).ravel() == 0
    others[known] = False
    return average_precision_score(is_kind[others], score[others])


def _of_all_labels(unit, is_kind):
    model = LogisticRegression(max_iter=1000, class_weight="balanced")
    rows = unit.astype(np.float32) * np.sqrt(unit.shape[1])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    score = cross_val_predict(
        model, rows, is_kind, cv=folds, method="decision_function"
    )
    return average_precision_score(is_kind, score)


def _sessions(unit, kinds, options):
    """Print how often the intervals of simulated sessions hold the truth."""
    names, counts = np.unique(kinds[kinds != ""], return_counts=True)
    names = names[counts >= FEWEST]
    print(
        "\n| prevalence | checks | sessions | precision inside | median width "
        "| missed inside | median width, of those there are |"
    )
    print("|:--" * 7 + "|")
    for prevalence in PREVALENCES:
        found = [
            _session(unit, kinds == names[n % len(names)], prevalence, n)
            for n in range(options.sessions)
        ]
        for index, checks in enumerate(CHECKS):
            inside_p, width_p, inside_m, width_m = np.array([f[index] for f in found]).T
            print(
                f"| {prevalence} | {checks} + {checks} | {len(found)} "
                f"| {inside_p.mean():.2f} | {np.median(width_p):.2f} "
                f"| {inside_m.mean():.2f} | {np.median(width_m):.2f} |"
            )


def _session(unit, is_kind, prevalence, seed):
    """Teach once; return how well each number of checks tells what is so."""
    rng = np.random.default_rng(seed)
    others = np.flatnonzero(~is_kind)
    of_kind = rng.permutation(np.flatnonzero(is_kind))
    n_kind = round(prevalence / (1 - prevalence) * len(others))
    if n_kind < 2 * BEGIN:  # a small set: fewer of the others would be of no use
        n_kind = 2 * BEGIN
    if n_kind > len(of_kind):
        others = rng.permutation(others)[: round(len(of_kind) / prevalence)]
        n_kind = len(of_kind)
    rows = rng.permutation(np.concatenate([of_kind[:n_kind], others]))
    unit, is_kind = unit[rows], is_kind[rows]
    known = dict.fromkeys(np.flatnonzero(is_kind)[:BEGIN].tolist(), True)
    for _ in range(SESSION):
        _ask(unit, known, is_kind)
    score = _taught(unit, known, sum(known.values()) - BEGIN)
    above = score >= min(THRESHOLD, score.max())
    threshold = score[above].min()
    precision, missed = is_kind[above].mean(), is_kind[~above].sum()
    answered = {"known": list(known), "known_yes": list(known.values())}
    results = []
    for checks in CHECKS:
        drawn = draw_checks(
            score, threshold, above=checks, below=checks, seed=seed, known=list(known)
        )
        said = estimate(score, threshold, drawn, is_kind[drawn], **answered)
        results.append(
            (
                said.precision_low - EXACT <= precision <= said.precision_high + EXACT,
                said.precision_high - said.precision_low,
                np.floor(said.missed_low) <= missed <= np.ceil(said.missed_high),
                (said.missed_high - said.missed_low) / is_kind.sum(),
            )
        )
    return results


def _options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("table", type=Path, help="all_output_info.npz of the labeled set")
    add("--set", type=Path, required=True, help="folder of benchmarks/simulate.py")
    add("--features", nargs="+", default=["proj", "pred"], choices=("proj", "pred"))
    add("--draws", type=int, default=10, help="of the examples, for each class")
    add("--sessions", type=int, default=200)
    return parser.parse_args()


if __name__ == "__main__":
    run_script(main)
