"""Where everything of one experiment lies."""

from dataclasses import dataclass
from pathlib import Path

from lib.artifacts.fingerprints import fingerprint_path


@dataclass(frozen=True)
class ExperimentDir:
    """Paths of one experiment."""

    root: Path

    @classmethod
    def of(cls, exp_root, dataset, exp_id):
        """Return the directory ``<exp_root>/<dataset>/<exp_id>``."""
        return cls(Path(exp_root).expanduser().resolve() / dataset / exp_id)

    @property
    def options(self):
        """Library versions, command line, every option (written by training)."""
        return self.root / "opts.txt"

    @property
    def config(self):
        """The options in a form that repeats the run (written by training)."""
        return self.root / "opts.yaml"

    @property
    def log(self):
        """One line an epoch (written by training)."""
        return self.root / "log.txt"

    @property
    def lock(self):
        """Held by the process that writes into this experiment."""
        return self.root / ".lock"

    def checkpoint(self, epoch):
        """Return ``model_<epoch>.pth``; epoch may be ``"last"`` or ``"best"``."""
        return self.root / f"model_{epoch}.pth"

    def candidate_picture(self, tomogram):
        """Return the picture of the candidates over slices of one tomogram."""
        return self.root / f"candidates_{tomogram}.png"

    @property
    def embeddings(self):
        """Written by the inference scripts, read by every plotting script."""
        return self.root / "all_output_info.npz"

    @property
    def map_picture(self):
        """Written by plot_2d.py: the map with thumbnails."""
        return self.root / "2d_visualization_out.png"

    @property
    def label_picture(self):
        """Written by plot_2d.py: the map with cluster numbers."""
        return self.root / "2d_visualization_labels.png"

    @property
    def colors(self):
        """Written by plot_2d.py, read by visualize_3dhm.py."""
        return self.root / "all_colors.npy"

    @property
    def color_record(self):
        """Which rows the colors belong to: see `check_fingerprint`."""
        return fingerprint_path(self.colors)

    @property
    def interactive_table(self):
        """Written by plot_2d.py, read by the interactive session."""
        return self.root / "interactive_info_parquet.gzip"

    @property
    def patch_pictures(self):
        """Folder of ``<row>.png``, written by plot_2d.py."""
        return self.root / "imgs"

    @property
    def picture_record(self):
        """Which rows the patches belong to: see `check_fingerprint`."""
        return fingerprint_path(self.patch_pictures)

    @property
    def exports(self):
        """Folder of what was picked in the interactive session."""
        return self.root / "exports"

    def gray_volume(self, tomogram):
        """Return ``<tomo>_rec3d.npy``, written by visualize_3dhm.py."""
        return self.root / f"{tomogram}_rec3d.npy"

    def heatmap_volume(self, tomogram):
        """Return ``<tomo>_hm3d_simsiam.npy``, written by visualize_3dhm.py."""
        return self.root / f"{tomogram}_hm3d_simsiam.npy"

    def blended_picture(self, tomogram):
        """Return ``<tomo>_blend.png``, written by visualize_3dhm.py."""
        return self.root / f"{tomogram}_blend.png"
