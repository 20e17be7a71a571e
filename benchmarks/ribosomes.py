"""Do features tell ribosomes apart in a real cell? Template matching is the label.

    python benchmarks/ribosomes.py --work ribosomes --data ../shared/data

The 80S ribosome (6qzp) is matched against the real tomogram in a few hundred
orientations, with its missing wedge. The label is foreign (of yeast's kind, the cell
is a bacterium's) and noisy: what counts is the order of the sources of features, not
the numbers. Clicks are drawn among the candidates that match best.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.errors import run_script

ANGSTROM = 20.0  # of the tomogram
TEMPLATE_ANGSTROM = 10.0
TEMPLATE = "6qzp"
BOX = 24  # of the template [voxels]
RADIUS = 9.0  # of the mask [voxels]
WEDGE = 60.0  # greatest tilt [degrees]
ROTATIONS = 400
REACH = 3  # of a candidate's match [voxels]
CLICKS = 5
OUTPUTS = ("proj", "pred")
POSITIVE = 0.04  # share of the candidates that are called ribosomes


def rotated_templates(density, rotations):
    """Yield the density at the tomogram's voxel size, rotated, with its wedge.

    Yields
    ------
    ndarray, shape (BOX, BOX, BOX)
        Mean 0 and norm 1 within the mask, 0 outside.
    """
    scale = ANGSTROM / TEMPLATE_ANGSTROM
    smooth = ndimage.gaussian_filter(density.astype(float), 0.8 * scale)
    axis = np.arange(BOX) - BOX // 2
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    mask = (grid**2).sum(-1) <= RADIUS**2
    center = (np.array(density.shape) - 1) / 2
    # The beam is along z, the tilt axis along y.
    kz, _, kx = np.meshgrid(*[np.fft.fftfreq(BOX)] * 3, indexing="ij")
    seen = np.abs(kz) <= np.abs(kx) * np.tan(np.deg2rad(WEDGE)) + 1e-6
    for rotation in rotations:
        places = rotation.apply(grid.reshape(-1, 3) * scale) + center
        volume = ndimage.map_coordinates(smooth, places.T, order=1)
        volume = volume.reshape((BOX,) * 3)
        volume = np.fft.ifftn(np.fft.fftn(volume) * seen).real
        volume = np.where(mask, volume - volume[mask].mean(), 0)
        yield volume / np.linalg.norm(volume), mask


def match(tomogram, density, *, seed):
    """Return the greatest normalized correlation of each voxel with dark density.

    Parameters
    ----------
    tomogram : ndarray, shape (Z, Y, X)
    density : ndarray, shape (D, D, D)
    seed : int

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
    """
    volume = tomogram.astype(np.float32)
    volume = (volume - volume.mean()) / volume.std()
    shape = [fft.next_fast_len(n + BOX, real=True) for n in volume.shape]
    transformed = fft.rfftn(volume, shape, workers=2)
    rotations = Rotation.random(ROTATIONS, random_state=seed)
    best = np.full(volume.shape, -np.inf, np.float32)
    spread = None
    for template, mask in rotated_templates(density, rotations):
        if spread is None:
            total = _correlate(transformed, mask.astype(np.float32), shape, best.shape)
            squares = fft.rfftn(volume**2, shape, workers=2)
            squared = _correlate(squares, mask.astype(np.float32), shape, best.shape)
            spread = np.sqrt(np.maximum(squared - total**2 / mask.sum(), 1e-3))
        found = _correlate(transformed, template.astype(np.float32), shape, best.shape)
        np.maximum(best, -found / spread, out=best)
    return best


def _correlate(transformed, template, shape, size):
    kernel = fft.rfftn(template, shape, workers=2)
    full = fft.irfftn(transformed * np.conj(kernel), shape, workers=2)
    moved = np.roll(full, (BOX // 2,) * 3, axis=(0, 1, 2))
    return moved[tuple(slice(0, n) for n in size)]


def main():
    """Match, and measure what each source of features says."""
    from benchmarks.quality_runs import INFERENCE, run
    from lib.artifacts import EmbeddingTable, ExperimentDir

    options = _options()
    options.work.mkdir(parents=True, exist_ok=True)
    correlation = ndimage.maximum_filter(_matches(options), 2 * REACH + 1)
    for mode in options.modes:
        experiment = ExperimentDir.of(options.work, mode, "builtin")
        if not experiment.embeddings.is_file():
            run(
                INFERENCE[mode],
                *(mode, "--dataset", mode, "--exp_id", "builtin"),
                *("--exp_dir", options.work, "--gpus", "-1", "--load_model", "builtin"),
                *("--test_img_txt", "sample_train_explore_img.txt"),
                *("--bbox", 24, "--gauss", 0.8, "--dog", "3,5"),
            )
        table = EmbeddingTable.load(experiment.embeddings)
        _report(table, _sources(table, mode), correlation, options.draws)
    for path in options.tables:
        table = EmbeddingTable.load(path)
        found = [(f"{path.parent.name}, {k}", getattr(table, k)) for k in OUTPUTS]
        _report(table, found, correlation, options.draws)


def _report(table, sources, correlation, draws):
    x, y, z = table.coords.T
    score = correlation[z, y, x]
    positive = score >= np.quantile(score, 1 - POSITIVE)
    mode = table.record.options.patches.mode
    print(f"{mode}: {positive.sum()} of {len(table)} candidates are positive")
    for source, features in sources:
        mean, std = after_clicks(features, positive, draws)
        print(f"  {source:28s} {mean:.3f} +- {std:.3f}", flush=True)


def _matches(options):
    """Return the correlations of the sample's voxels, matched once."""
    from benchmarks.quality_runs import PROJECT
    from lib.inputs.tomogram import Tomogram

    kept = options.work / "matches.npy"
    if not kept.is_file():
        tomogram = Tomogram.from_files(PROJECT / "sample_data/ts254.rec", "xzy")
        with np.load(options.data / "templates/proteins_10A.npz") as densities:
            density = densities[TEMPLATE]
        np.save(kept, match(np.asarray(tomogram.map_voxels()), density, seed=0))
    return np.load(kept)


def _sources(table, mode):
    """Yield the name and features (N, D) of each source."""
    from benchmarks.quality_labels import views_of
    from benchmarks.quality_metrics import pca_features
    from benchmarks.quality_networks import random_features
    from benchmarks.quality_runs import ARCH
    from lib.system.runtime import choose_device

    views = views_of(table)
    middle = slice(views.shape[-1] // 2 - 3, views.shape[-1] // 2 + 3)
    yield "darkness at the center", -views[:, -1, middle, middle].mean((1, 2))[:, None]
    yield "PCA-64", pca_features(views)
    untrained = random_features(ARCH[mode], mode, views, choose_device("-1"), 0)
    yield "random weights, pred", untrained["pred"]
    yield "built-in weights, proj", table.proj
    yield "built-in weights, pred", table.pred


def after_clicks(features, positive, draws):
    """Return mean and spread of the area under the curve after five clicks.

    A single feature is its own score.
    """
    from sklearn.metrics import roc_auc_score

    from lib.picking.likeness import similarity, unit_float16

    if features.shape[1] == 1:
        return roc_auc_score(positive, features[:, 0]), 0.0
    unit, _ = unit_float16(features)
    rng = np.random.default_rng(0)
    areas = []
    for _ in range(draws):
        clicks = rng.choice(np.flatnonzero(positive), CLICKS, replace=False)
        others = np.setdiff1d(np.arange(len(unit)), clicks)
        score = similarity(unit, clicks)
        areas.append(roc_auc_score(positive[others], score[others]))
    return np.mean(areas), np.std(areas)


def _options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--work", type=Path, required=True)
    add("--data", type=Path, required=True, help="folder of templates/")
    add("--modes", nargs="+", default=("simsiam3d",))
    add(
        "--tables",
        nargs="*",
        type=Path,
        default=(),
        help="all_output_info.npz of the sample, to compare",
    )
    add("--draws", type=int, default=50, help="of five clicks")
    return parser.parse_args()


if __name__ == "__main__":
    run_script(main)
