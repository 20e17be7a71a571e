"""The folder of an experiment: its paths, its lock, and what may be overwritten."""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lib.artifacts.files import remove_at_once, remove_partial_files
from lib.artifacts.fingerprints import fingerprint_path
from lib.artifacts.locks import locked
from lib.errors import ArtifactError, user_files


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
    def training_list(self):
        """Image list of the folder that training was given."""
        return self.root / "train_list.txt"

    @property
    def new_list(self):
        """The same, as long as the run of another training is here."""
        return self.root / "new_list.txt"

    @property
    def embedding_list(self):
        """Image list of the folder that inference was given."""
        return self.root / "test_list.txt"

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
    def neighbors(self):
        """The nearest candidates of each, written and read by plot_2d.py."""
        return self.root / "neighbors.npz"

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
        """Folder of ``<row>.png``, or of one packed file, written by plot_2d.py."""
        return self.root / "imgs"

    @property
    def picture_record(self):
        """Which rows the patches belong to: see `check_fingerprint`."""
        return fingerprint_path(self.patch_pictures)

    @property
    def columns(self):
        """Folder of `Columns`, written by plot_2d.py, read by the session."""
        return self.root / "session_columns"

    @property
    def picks(self):
        """Folder of the journals of the interactive session."""
        return self.root / "picks"

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


@contextmanager
def experiment_lock(experiment, *, is_main=True):
    """Hold the lock of an experiment folder while the block runs.

    Partial files of killed processes are removed first. See `lib.artifacts.locks` for
    how long a lock outlives its process.

    Parameters
    ----------
    experiment : lib.artifacts.ExperimentDir
    is_main : bool
        Of the processes that train together, the main one holds the lock for all.

    Raises
    ------
    ResourceError
        When another process writes into the folder.
    """
    if not is_main:
        yield
        return
    with user_files():
        experiment.root.mkdir(parents=True, exist_ok=True)
    with locked(experiment.lock, advice="wait for it, or choose another --exp_id"):
        remove_partial_files(experiment.root)
        yield


def check_folder(experiment, *, overwrite):
    """Raise an error if an experiment already holds a model, unless `overwrite`.

    Parameters
    ----------
    experiment : lib.artifacts.ExperimentDir
    overwrite : bool
    """
    models = _models(experiment)
    if models and not overwrite:
        raise ArtifactError(
            f"{experiment.root} holds a trained model ({models[0].name}): "
            "continue with --resume, replace it with --overwrite, or choose another "
            "--exp_id"
        )


def place_of_list(experiment, *, resume):
    """Return where the image list of a folder is written.

    The list of the run that is there stays until `adopt_list`: it is resumed with it,
    whatever is tried with --dry_run meanwhile.
    """
    keeps = not resume and _models(experiment)
    return experiment.new_list if keeps else experiment.training_list


def adopt_list(experiment, path):
    """Give the list of a new run the place of the old one; return where it is now."""
    if path != experiment.new_list:
        return path
    with user_files(path):
        path.replace(experiment.training_list)
    return experiment.training_list


def clear_folder(experiment):
    """Remove the files of an earlier training and of the steps after it.

    Parameters
    ----------
    experiment : lib.artifacts.ExperimentDir
        Picks, exports, and files that no script of this project writes, stay.

    Returns
    -------
    list of str
        Names of what was removed.
    """
    removed = []
    for path in (*_models(experiment), *_written_after_training(experiment)):
        with user_files():
            if remove_at_once(path):
                removed.append(path.name)
    return removed


def _models(experiment):
    return sorted(experiment.root.glob("model_*.pth"))


def _written_after_training(experiment):
    """Return the files that belong to the removed model; picks and exports stay."""
    return (
        experiment.log,
        experiment.options,
        experiment.config,
        experiment.embeddings,
        experiment.neighbors,
        experiment.colors,
        experiment.color_record,
        experiment.map_picture,
        experiment.label_picture,
        experiment.interactive_table,
        experiment.patch_pictures,
        experiment.columns,
        *experiment.root.glob(experiment.gray_volume("*").name),
        *experiment.root.glob(experiment.heatmap_volume("*").name),
        *experiment.root.glob(experiment.blended_picture("*").name),
        *experiment.root.glob(experiment.candidate_picture("*").name),
    )
