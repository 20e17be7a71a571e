"""The options of a command that no record keeps: files, folders, machine, checks."""

from dataclasses import dataclass

from lib.modes import MODES
from lib.run.config import option
from lib.run.limits import MOST, Numbers, Real, Whole

_LIST = {
    "help": "image list: name of a file in data/, or path; or a folder, whose list is "
    "written into the experiment (simsiam_main.py --make_list FOLDER ... --output "
    "LIST only writes it)",
    "kind": "plain path",
    "metavar": "LIST",
    "dest": "img_txt",
}


@dataclass(frozen=True)
class ExperimentOptions:
    """Which run it is, and in which folders it and its patches are."""

    exp_id: str = option("default", "name of the run", metavar="NAME")
    dataset: str | None = option(
        None,
        "the mode again: folder under exp/",
        limits=tuple(MODES),
        otherwise="the mode",
    )
    exp_dir: str | None = option(
        None,
        "folder of all experiments",
        kind="path",
        otherwise="exp in the project folder",
    )
    cache_dir: str | None = option(
        None,
        "folder of the prepared patches: a fast local disk if you have one",
        kind="path",
        otherwise=".patches in --exp_dir",
    )
    no_cache: bool = option(
        False, "prepare the patches again, and remove them after the run", kind="flag"
    )


@dataclass(frozen=True)
class MachineOptions:
    """What of the machine a training or an inference uses."""

    gpus: str = option(
        "0",
        "GPU to use; -1 for the CPU; with torchrun each process takes its own",
        limits=Numbers(Whole(-1, 1023)),
    )
    num_workers: int | None = option(
        None,
        "processes that prepare tomograms; 0 for none but this one",
        limits=Whole(0, 1024),
        otherwise="as many as the cores and half of the free memory hold, of the "
        "machine or of what your job or container may use of it",
    )


@dataclass(frozen=True)
class TrainOptions:
    """What a training reads, and what it does with an existing run."""

    train_img_txt: str | None = option(None, **_LIST, alias="training_img_txt")
    load_model: str | None = option(
        None, "checkpoint whose weights a new run starts from", kind="path"
    )
    config: str | None = option(
        None,
        "opts.yaml of a run, to repeat it; options on the command line override it",
        kind="path",
        metavar="FILE",
    )
    resume: bool = option(
        False,
        "continue from model_last.pth with the options of its run; those given again "
        "must agree, except --num_epochs, --val_intervals and --save_all",
        kind="flag",
    )
    overwrite: bool = option(
        False,
        "replace an existing experiment when the new one is ready to start",
        kind="flag",
    )
    dry_run: bool = option(
        False,
        "search, count and draw the candidates, then stop: to choose --dog and --bbox "
        "by. No patches are cut; training finds the candidates again",
        kind="flag",
    )
    check_geometry: bool = option(
        False,
        "2d3d: only check that tomograms and tilt series agree",
        kind="flag",
    )
    compile: bool = option(
        False,
        "compile the network first: a minute or more at the start; on a CPU it needs "
        "a C++ compiler and gains little",
        kind="flag",
    )
    force: bool = option(
        False, "continue even if the geometry check fails", kind="flag"
    )


@dataclass(frozen=True)
class EmbedOptions:
    """What an inference reads, and how much at a time."""

    test_img_txt: str | None = option(None, **_LIST, required=True)
    load_model: str | None = option(
        None,
        "checkpoint to embed with, or builtin: the weights that come with the "
        "project, without any training",
        kind="checkpoint",
    )
    batch_size: int = option(
        256,
        "patches per batch; a larger one only needs more memory",
        limits=Whole(1, MOST),
    )


@dataclass(frozen=True)
class CacheOptions:
    """What of the cache of candidates and patches is listed or freed."""

    cache_dir: str | None = option(
        None,
        "folder of the cache",
        kind="path",
        otherwise=".patches in --exp_dir",
    )
    clear: bool = option(
        False,
        "remove the entries: all, or those that the next two options choose. Later "
        "runs prepare again what they need. What a job is preparing stays; jobs that "
        "train or embed should have ended",
        kind="flag",
    )
    outdated: bool = option(
        False,
        "with --clear: only what other versions of the code made",
        kind="flag",
    )
    unused_days: float | None = option(
        None,
        "with --clear: only what no run has used for N days",
        limits=Real(0, MOST),
        metavar="N",
    )


@dataclass(frozen=True)
class ListOptions:
    """Where tomograms are searched, and where their list goes."""

    make_list: tuple = option(
        (),
        "folders that are searched, with all below them, for files named as IMOD, "
        "AreTomo, Warp, RELION 5 and nextPYP name them",
        kind="path",
        count="+",
        metavar="FOLDER",
        required=True,
    )
    output: str | None = option(
        None,
        "file of the list; a name alone is put into data/ of the project",
        kind="new list",
        metavar="LIST",
        required=True,
    )
    overwrite: bool = option(False, "replace an existing list", kind="flag")
