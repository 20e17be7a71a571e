"""The steps of plot_2d.py that lay out the maps, beside UMAP's own on the same graph.

    python benchmarks/map_speed.py 100000 --umap
    python benchmarks/map_speed.py 1000000 --plot

Prints for each step its time, and the memory of the process at its peak; of each map,
how many of the 40 nearest neighbors in the embedding are among the 40 nearest there.
With ``--plot``, plot_2d.py itself as well, on patches of 36 x 36.
The embedding is made up: 200 kinds of unequal size, each spread in 12 directions of its
own, and noise.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.peak_memory import PeakMemory

PROJECT = Path(__file__).resolve().parents[1]
NEIGHBORS = 40
CLUSTERS = 48
CHECKED = 2000
BOX = 36
DISTINCT = 3000  # patches; they are repeated


def main():
    """Run the steps at one size and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", type=int)
    parser.add_argument("--umap", action="store_true", help="UMAP's calls, too")
    parser.add_argument("--plot", action="store_true", help="plot_2d.py, too")
    options = parser.parse_args()
    from lib.maps.layout import unit_rows

    vectors = unit_rows(structured_embeddings(options.count))
    print(f"{options.count:,} rows, peak {peak_memory() / 1e9:.2f} GB", flush=True)
    steps = Steps()
    near, labels, maps = own_steps(vectors, steps)
    print(f"all steps {steps.total()[0]:.0f} s", flush=True)
    if options.umap:
        theirs = umap_steps(vectors, near, labels, maps["map"])
        ours, floor = np.sum(steps.times[2:], axis=0), theirs.total()
        print(
            f"three layouts: {ours[0]:.0f} s, UMAP's {floor[0]:.0f} s, ratio "
            f"{ours[0] / floor[0]:.2f}; of the processor {ours[1] / floor[1]:.2f}"
        )
    if options.plot:
        del near, labels, maps
        wall, processor = run_plot(vectors)
        if options.umap:
            floor = np.sum(steps.times[:2], axis=0) + theirs.total()
            print(
                f"plot_2d.py over neighbors, clusters and UMAP's: {wall / floor[0]:.2f}"
                f"; of the processor {processor / floor[1]:.2f}"
            )


class Steps:
    """Steps that are run, timed and reported one after the other."""

    def __init__(self):
        self.times = []

    def run(self, name, work):
        """Return what `work` returns, and print what it took."""
        wall, processor = time.perf_counter(), time.process_time()
        result = work()
        wall = time.perf_counter() - wall
        processor = time.process_time() - processor
        self.times.append((wall, processor))
        print(
            f"{name}: {wall:.1f} s, of the processor {processor:.1f} s, "
            f"peak {peak_memory() / 1e9:.2f} GB",
            flush=True,
        )
        return result

    def total(self):
        """Return the seconds of all steps, and those of the processor."""
        return np.sum(self.times, axis=0)


def own_steps(vectors, steps):
    """Run what plot_2d.py does; return the neighbors, the labels and the maps."""
    from lib.maps.clustering import over_cluster
    from lib.maps.layout import ProjectionOptions, project_2d, project_3d
    from lib.maps.neighbors import nearest_neighbors

    layout = ProjectionOptions("umap", NEIGHBORS, 0.5, 42)
    near = steps.run("neighbors", lambda: nearest_neighbors(vectors, NEIGHBORS))
    print(f"recall {near.recall:.4f}")
    labels = steps.run(
        "clusters", lambda: over_cluster(vectors, n_cluster=CLUSTERS, seed=42)
    )
    laid = {
        "map": lambda: project_2d(vectors, layout, neighbors=near),
        "labels": lambda: project_2d(
            vectors, layout, neighbors=near, labels=labels, start=maps["map"]
        ),
        "3-D": lambda: project_3d(vectors, layout, neighbors=near),
    }
    maps = {}
    for name, work in laid.items():
        maps[name] = steps.run(name, work)
        print(f"{name}: kept {kept_neighbors(maps[name], near):.3f}", flush=True)
    return near, labels, maps


def umap_steps(vectors, near, labels, start):
    """Run UMAP's own layouts of the same graph; return their times."""
    steps = Steps()
    calls = {
        "map": (2, None, None, None),
        "labels": (2, labels, 200, start),
        "3-D": (3, None, 100, None),
    }
    for name, arguments in calls.items():
        found = steps.run(
            f"UMAP, {name}", lambda a=arguments: umap_alone(vectors, near, *a)
        )
        print(f"UMAP, {name}: kept {kept_neighbors(found, near):.3f}", flush=True)
    return steps


def run_plot(vectors):
    """Run plot_2d.py on the embeddings; return its seconds and the processor's."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "all_output_info.npz"
        write_table(table, vectors)
        command = [sys.executable, PROJECT / "plot_2d.py", "--input", table]
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall = time.perf_counter()
        with subprocess.Popen(command) as process, PeakMemory(process.pid) as memory:
            failed = process.wait()
        wall = time.perf_counter() - wall
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if failed:
        sys.exit(f"plot_2d.py ended with exit code {failed}")
    processor = (after.ru_utime + after.ru_stime) - (spent.ru_utime + spent.ru_stime)
    print(
        f"plot_2d.py: {wall:.1f} s, of the processor {processor:.1f} s, "
        f"peak anonymous memory {memory.peak / 1e9:.2f} GB",
        flush=True,
    )
    return wall, processor


def write_table(path, vectors):
    """Write all_output_info.npz of these embeddings, with noise for patches."""
    from lib.artifacts import EmbeddingTable

    rng = np.random.default_rng(2)
    count = len(vectors)
    noise = rng.standard_normal((min(count, DISTINCT), 1, BOX, BOX), np.float32)
    EmbeddingTable(
        name=np.repeat("tomo1", count),
        coords=rng.integers(0, 500, (count, 3)),
        pred=vectors,
        proj=vectors,
        subvol=np.resize(noise, (count, 1, BOX, BOX)),
    ).save(path)


def structured_embeddings(count, seed=0, kinds=200, dim=128, inner=12):
    """Return embeddings of kinds that have directions of their own.

    Returns
    -------
    ndarray of float32, shape (count, dim)
    """
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((kinds, dim), np.float32)
    kind = rng.choice(kinds, count, p=rng.dirichlet(np.full(kinds, 0.7)))
    spread = 0.45 / np.sqrt(1 + np.arange(inner, dtype=np.float32))
    axes = rng.standard_normal((kinds, inner, dim), np.float32) * spread[:, None]
    embeddings = 0.15 * rng.standard_normal((count, dim), np.float32)
    for number in range(kinds):
        rows = np.flatnonzero(kind == number)
        within = rng.standard_normal((len(rows), inner), np.float32)
        embeddings[rows] += centers[number] + within @ axes[number]
    return embeddings


def umap_alone(vectors, near, axes, labels, n_epochs, start):
    """Return the positions of one seeded call of UMAP."""
    import umap

    from lib.maps.layout import LABEL_PULL

    if start is None:
        from sklearn.decomposition import PCA

        start = PCA(axes, svd_solver="covariance_eigh").fit_transform(vectors)
    return umap.UMAP(
        n_components=axes,
        n_neighbors=NEIGHBORS,
        min_dist=0.5,
        random_state=42,
        n_jobs=1,
        init=start.astype(np.float32),
        target_weight=LABEL_PULL,
        n_epochs=n_epochs,
        precomputed_knn=(near.indices, near.distances),
    ).fit_transform(vectors, y=labels)


def kept_neighbors(positions, near):
    """Return the share of neighbors that are as near on the map, of some rows."""
    from scipy.spatial import cKDTree

    rows = np.random.default_rng(1).choice(len(positions), CHECKED, replace=False)
    count = near.indices.shape[1]
    found = cKDTree(positions).query(positions[rows], count)[1]
    pairs = zip(found, near.indices[rows], strict=True)
    return np.mean([len(np.intersect1d(*pair)) / count for pair in pairs])


def peak_memory():
    """Return the largest resident memory of this process so far [bytes]."""
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(s.split()[1]) for s in status if s.startswith("VmHWM"))


if __name__ == "__main__":
    main()
