"""The steps of plot_2d.py that lay out the maps, beside UMAP's own on the same graph.

    python benchmarks/map_speed.py 100000 --umap
    python benchmarks/map_speed.py 1000000

Prints for each step its time, and the memory of the process at its peak; of each map,
how many of the 40 nearest neighbors in the embedding are among the 40 nearest there.
The embedding is made up: 200 kinds of unequal size, each spread in 12 directions of its
own, and noise.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

NEIGHBORS = 40
CLUSTERS = 48
CHECKED = 2000


def main():
    """Run the steps at one size and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", type=int)
    parser.add_argument("--umap", action="store_true", help="UMAP's calls, too")
    options = parser.parse_args()
    from lib.maps.clustering import over_cluster
    from lib.maps.layout import ProjectionOptions, project_2d, project_3d, unit_rows
    from lib.maps.neighbors import nearest_neighbors

    vectors = unit_rows(structured_embeddings(options.count))
    layout = ProjectionOptions("umap", NEIGHBORS, 0.5, 42)
    own = []

    def step(name, work, times=own):
        wall, processor = time.perf_counter(), time.process_time()
        result = work()
        wall = time.perf_counter() - wall
        processor = time.process_time() - processor
        times.append((wall, processor))
        print(
            f"{name}: {wall:.1f} s, of the processor {processor:.1f} s, "
            f"peak {peak_memory() / 1e9:.2f} GB",
            flush=True,
        )
        return result

    print(f"{options.count:,} rows, peak {peak_memory() / 1e9:.2f} GB", flush=True)
    near = step("neighbors", lambda: nearest_neighbors(vectors, NEIGHBORS))
    print(f"recall {near.recall:.4f}")
    labels = step(
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
        maps[name] = step(name, work)
        print(f"{name}: kept {kept_neighbors(maps[name], near):.3f}", flush=True)
    if options.umap:
        theirs = []
        for name, epochs in (("map", None), ("labels", 200), ("3-D", 100)):
            axes = 3 if name == "3-D" else 2
            of = labels if name == "labels" else None
            start = maps["map"] if name == "labels" else None

            def work(axes=axes, of=of, epochs=epochs, start=start):
                return umap_alone(vectors, near, axes, of, epochs, start)

            found = step(f"UMAP, {name}", work, theirs)
            print(f"UMAP, {name}: kept {kept_neighbors(found, near):.3f}", flush=True)
        ours, floor = np.sum(own[2:], axis=0), np.sum(theirs, axis=0)
        print(
            f"three layouts: {ours[0]:.0f} s, UMAP's {floor[0]:.0f} s, ratio "
            f"{ours[0] / floor[0]:.2f}; of the processor {ours[1] / floor[1]:.2f}"
        )
    print(f"all steps {np.sum(own, axis=0)[0]:.0f} s")


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
