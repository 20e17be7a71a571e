"""What a checkpoint notes of the data its run was trained on, held against others."""

from lib.errors import TrainingError, warn
from lib.inputs.noted_files import name_other_files, warn_of_other_voxels

NOTED = ("rec_path", "file_bytes", "file_time", "shape", "voxel_size")


def data_of(store):
    """Return what a checkpoint notes of the patches that its run was trained on.

    Returns
    -------
    dict
        ``tomograms`` (names), ``candidates`` (their number) and ``files``: by name,
        path, bytes, time, shape (Z, Y, X) and voxel size [A].
    """
    facts = {shard.facts["name"]: shard.facts for shard in store.shards}
    return {
        "tomograms": list(facts),
        "candidates": len(store),
        "files": {
            name: {key: known[key] for key in NOTED} for name, known in facts.items()
        },
    }


def check_same_data(content, path, store, *, quiet=False):
    """Refuse to resume on other tomograms than those of the run.

    Parameters
    ----------
    content : dict
        Of `lib.training.resume.load_run`.
    path : path-like
        Named in messages.
    store : lib.patches.store.PatchStore
        To train on.
    quiet : bool
        Only refuse.

    Raises
    ------
    TrainingError
        When the tomograms differ in name or size. Another number of candidates is a
        warning: a GPU and a CPU may disagree on one in a thousand. So are other
        voxel sizes; other places and times of the files are noted.
    """
    noted = content.get("data")
    if noted is None:  # an earlier version's
        return
    now = data_of(store)
    if now["tomograms"] != noted["tomograms"]:
        raise TrainingError(
            f"{path} was trained on {_some(noted['tomograms'])}, and the image list "
            f"now gives {_some(now['tomograms'])}; resume with the list of that run, "
            "or start another one with --exp_id and --load_model"
        )
    files = noted.get("files", {})
    for name, facts in now["files"].items():
        then = files.get(name, facts)["shape"]
        if list(then) != list(facts["shape"]):
            raise TrainingError(
                f"{path} was trained on a tomogram {name} of {_as_size(then)} voxels; "
                f"{facts['rec_path']} has {_as_size(facts['shape'])}: resume with the "
                "files of that run, or start another one with --exp_id and --load_model"
            )
    if quiet:
        return
    sizes = {name: facts["voxel_size"] for name, facts in now["files"].items()}
    warn_of_voxels(content, sizes)
    paths = {name: facts["rec_path"] for name, facts in now["files"].items()}
    if line := name_other_files(files, paths):
        print(line)
    if now["candidates"] != noted["candidates"]:
        warn(
            f"{path} was trained on {noted['candidates']:,} candidates, now there are "
            f"{now['candidates']:,}: a tomogram has changed, or another device searched"
        )


def warn_of_voxels(content, sizes):
    """Warn of tomograms with other voxels than those a checkpoint was trained on.

    Parameters
    ----------
    content : dict
        Of `lib.training.checkpoints.load_checkpoint`.
    sizes : mapping of str to float or None
        Voxel sizes of the tomograms at hand, by name [A].
    """
    files = content.get("data", {}).get("files", {})
    trained = [known["voxel_size"] for known in files.values()]
    warn_of_other_voxels(trained, sizes, then="in training")


def _as_size(shape):
    return " x ".join(str(length) for length in reversed(shape))


def _some(names):
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(names)} tomograms ({', '.join(names[:3])}{more})"
