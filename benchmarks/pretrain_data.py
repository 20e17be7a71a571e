"""The labeled patches that `pretrain_patches` simulated, opened for training."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class LabeledPatches:
    """Patches of several simulated tomograms.

    Attributes
    ----------
    files : list of ndarray of uint8, each (N, V, S, S)
        Mapped, not read.
    tomogram, row : ndarray of int, shape (M,)
        Where a patch lies.
    kind, particle : ndarray of int, shape (M,)
    names : list of str
        Of the kinds.
    """

    files: list
    tomogram: np.ndarray
    row: np.ndarray
    kind: np.ndarray
    particle: np.ndarray
    names: list

    @classmethod
    def open(cls, folder, numbers):
        """Open the tomograms of some numbers."""
        files, names, particles = [], [], []
        for number in numbers:
            files.append(np.load(folder / f"{number}.npy", mmap_mode="r"))
            with np.load(folder / f"{number}.npz") as stored:
                names.append(stored["kind"])
                particles.append(stored["particle"] + 100_000 * len(particles))
        known, kind = np.unique(np.concatenate(names), return_inverse=True)
        counts = [len(part) for part in names]
        return cls(
            files,
            np.repeat(np.arange(len(files)), counts),
            np.concatenate([np.arange(count) for count in counts]),
            kind,
            np.concatenate(particles),
            known.tolist(),
        )

    def gather(self, rows, views):
        """Return the stored views (B, V) of patches as Tensor (B, V, S, S)."""
        picked = [
            self.files[self.tomogram[row]][self.row[row]][list(chosen)]
            for row, chosen in zip(rows, views, strict=True)
        ]
        return torch.from_numpy(np.stack(picked))
