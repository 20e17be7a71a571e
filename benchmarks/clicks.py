"""From a few answers to a scored list: how good, how calibrated, how sure?

    python benchmarks/clicks.py exp/simsiam3d/sim/all_output_info.npz --set sim_low

Candidates of a labeled set (`benchmarks/simulate.py`), by the documented embedding.
Each class in turn is what is searched for; all other candidates, crowders and background
included, are not. Average precision of the order, over candidates further than 12
voxels from a particle that was answered about; means over the classes and draws:

- *similar*: cosine to 1, 5, 10, 20 examples at random;
- *teach*: five examples, then the most doubtful as the page asks them;
- all labels: logistic regression of five folds.

Then calibration of the probability, and simulated sessions: five examples, 15 doubtful
ones, a check of 10 above and 10 below the threshold of 0.5 (and of 20 and 20), at
prevalence 0.005 and 0.05 (candidates are drawn to give it): how often the intervals hold
the true precision and the true number missed, and how wide they are.
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
from lib.picking.doubtful import most_doubtful
from lib.picking.estimate import draw_checks, estimate
from lib.picking.likeness import similarity, unit_float16
from lib.picking.teaching import teach

ANSWERS = (1, 5, 10, 20, 40)
BEGIN = 5  # examples before teaching begins
SESSION = 15  # doubtful answers of a simulated session
FEWEST = 40  # candidates of a class that is searched for
PREVALENCES = (0.005, 0.05)
CHECKS = (10, 20)  # above, and as many below
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


def _orders(unit, kinds, near, options):
    """Print the average precision after some answers."""
    precision = {key: [] for key in [("similar", n) for n in ANSWERS]}
    precision |= {("teach", n): [] for n in ANSWERS if n > BEGIN}
    pairs, every = [], []
    names, counts = np.unique(kinds[kinds != ""], return_counts=True)
    for name in names[counts >= FEWEST]:
        is_kind = kinds == name
        every.append(_of_all_labels(unit, is_kind))
        for draw in range(options.draws):
            rng = np.random.default_rng(draw)
            clicks = rng.permutation(np.flatnonzero(is_kind))[: max(ANSWERS)]
            for n in ANSWERS:
                score = similarity(unit, clicks[:n])
                precision["similar", n].append(
                    _precision(score, is_kind, near, clicks[:n])
                )
            known = {int(row): True for row in clicks[:BEGIN]}
            for n in range(BEGIN + 1, max(ANSWERS) + 1):
                score = _taught(unit, known)
                row = int(most_doubtful(score, unit, list(known), count=1)[0])
                known[row] = bool(is_kind[row])
                if n in ANSWERS:
                    score = _taught(unit, known)
                    precision["teach", n].append(
                        _precision(score, is_kind, near, list(known))
                    )
                    rest = np.setdiff1d(np.arange(len(unit)), list(known))
                    pairs.append((n, score[rest], is_kind[rest]))
    print("| answers | " + " | ".join(map(str, ANSWERS)) + " | all labels |")
    print("|:--" * (len(ANSWERS) + 2) + "|")
    for way in ("similar", "teach"):
        cells = [
            f"{np.mean(precision[way, n]):.3f}" if (way, n) in precision else ""
            for n in ANSWERS
        ]
        print(f"| {way} | {' | '.join(cells)} | {np.mean(every):.3f} |")
    print("\n| probability | " + " | ".join(f"{n} answers" for n in ANSWERS[2:]) + " |")
    print("|:--" * (len(ANSWERS) - 1) + "|")
    for low, high in zip(LEVELS, LEVELS[1:], strict=False):
        cells = [
            _share([p for p in pairs if p[0] == n], low, high) for n in ANSWERS[2:]
        ]
        print(f"| {low:g} to {high:g} | {' | '.join(cells)} |")


def _share(pairs, low, high):
    """Return the share that is of the kind, among those of some probability."""
    said = np.concatenate([score for _, score, _ in pairs])
    true = np.concatenate([is_kind for _, _, is_kind in pairs])
    inside = (said >= low) & (said < high)
    if not inside.any():
        return ""
    return f"{true[inside].mean():.3f} ({said[inside].mean():.3f} said)"


def _taught(unit, known):
    rows, yes = np.array(list(known)), np.array(list(known.values()))
    n_asked = int(yes[BEGIN:].sum())
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
        "| missed inside | median width, of those there are | none found |"
    )
    print("|:--" * 8 + "|")
    for prevalence in PREVALENCES:
        for checks in CHECKS:
            found = [
                _session(unit, kinds == names[n % len(names)], prevalence, checks, n)
                for n in range(options.sessions)
            ]
            held = np.array([f for f in found if f is not None])
            inside_p, width_p, inside_m, width_m = held.T
            print(
                f"| {prevalence} | {checks} + {checks} | {len(found)} "
                f"| {inside_p.mean():.2f} | {np.median(width_p):.2f} "
                f"| {inside_m.mean():.2f} | {np.median(width_m):.2f} "
                f"| {len(found) - len(held)} |"
            )


def _session(unit, is_kind, prevalence, checks, seed):
    """Teach, check and estimate once; None where nothing is above the threshold."""
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
        score = _taught(unit, known)
        row = int(most_doubtful(score, unit, list(known), count=1)[0])
        known[row] = bool(is_kind[row])
    score = _taught(unit, known)
    of_yes = np.sort(score[[row for row, yes in known.items() if yes]])
    threshold = min(0.5, float(np.median(of_yes)))
    drawn = draw_checks(
        score, threshold, above=checks, below=checks, seed=seed, known=list(known)
    )
    said = estimate(
        score,
        threshold,
        drawn,
        is_kind[drawn],
        known=list(known),
        known_yes=list(known.values()),
    )
    above = score >= threshold
    if not above.any():
        return None
    precision, missed = is_kind[above].mean(), is_kind[~above].sum()
    return (
        said.precision_low - 1e-9 <= precision <= said.precision_high + 1e-9,
        said.precision_high - said.precision_low,
        np.floor(said.missed_low) <= missed <= np.ceil(said.missed_high),
        (said.missed_high - said.missed_low) / max(is_kind.sum(), 1),
    )


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
