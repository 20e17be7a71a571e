"""What a cluster's disk, container or shell rejects is seen before anything long."""

import errno
import mmap
import multiprocessing
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lib.errors import ResourceError, warn_once
from lib.inputs.image_list import read_image_list
from lib.inputs.tomogram import Tomogram
from lib.patches import resources
from lib.patches.preparation import prepare_store
from lib.patches.resources import worker_count
from lib.pictures.patch_pictures import writing_patch_pictures
from lib.system import caches, machine, processes, ranks
from lib.system.preflight import check_environment, inspect_folder
from lib.system.ranks import init_distributed
from tests.data_sets import small_options
from tests.mrc_files import write_mrc
from tests.small_runs import folder_of, train_command
from tests.test_locks import rejecting

PROJECT = Path(__file__).resolve().parents[1]


def python(code, *arguments, shell="exec", **environment):
    """Run Python code behind a piece of shell; return what came of it."""
    return subprocess.run(
        [*("sh", "-c", f'{shell} "$0" "$@"'), sys.executable, "-c", code, *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
    )


# --- folders and limits --------------------------------------------------------


def test_all_well_is_one_line_and_leaves_nothing(tmp_path, capsys):
    check_environment({tmp_path / "exp" / "new": "--exp_dir"}, maps=True)
    said = capsys.readouterr()
    assert said.out.startswith(f"checked {tmp_path}")
    assert said.out.count("\n") == 1
    assert not said.err
    assert not list(tmp_path.iterdir())


def reject_rename(monkeypatch):
    monkeypatch.setattr(Path, "replace", rejecting(errno.ENOSYS))


def reject_maps(monkeypatch):
    monkeypatch.setattr(mmap, "mmap", rejecting(errno.ENODEV))


def fill_disk(monkeypatch, blocks=1, files=1_000_000):
    disk = SimpleNamespace(
        f_bavail=blocks, f_frsize=4096, f_files=2_000_000, f_favail=files
    )
    monkeypatch.setattr(os, "statvfs", lambda _: disk)


def use_up_files(monkeypatch):
    fill_disk(monkeypatch, blocks=10**9, files=5)


FAULTS = {
    reject_rename: "cannot rename files.*; name another folder with --path",
    reject_maps: "cannot map files into memory.*; name another folder with --path",
    fill_disk: "0.00 GB free, 1.00 GB needed; make room",
    use_up_files: "5 more files can be made, 100 are needed; remove files",
}


@pytest.mark.parametrize("break_it", FAULTS)
def test_fault_of_a_disk_is_told_with_what_to_do(monkeypatch, tmp_path, break_it):
    break_it(monkeypatch)
    with pytest.raises(ResourceError, match=f"{tmp_path}.*: .*{FAULTS[break_it]}"):
        check_environment({tmp_path: "--path"}, room=10**9, files=100, maps=True)
    assert not list(tmp_path.iterdir())


def test_all_that_is_wrong_is_told_at_once(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    monkeypatch.setattr("lib.system.preflight.available_memory", lambda: 1000)
    folders = {tmp_path / "file" / "run": "--exp_dir", tmp_path / "gone": "--path"}
    with pytest.raises(ResourceError) as error:
        check_environment(folders)
    said = str(error.value)
    for words in ("is a file where a folder should be", "--path", "0.00 GB free"):
        assert words in said


def test_patches_that_are_all_there_need_no_writable_folder(
    monkeypatch, tmp_path, capsys
):
    (tmp_path / "cache").touch()  # for root every folder is writable
    check_environment({tmp_path: "--exp_dir"}, cache=tmp_path / "cache")
    assert "--cache_dir, unless all patches are there" in capsys.readouterr().err


def test_disk_without_locks_is_said_to_be_one(monkeypatch, tmp_path):
    monkeypatch.setattr("fcntl.flock", rejecting(errno.ENOLCK))
    result = inspect_folder(tmp_path, "--path")
    assert result.ok
    assert "locks by file" in result.found


OPEN_FILES = """
import resource, sys, pathlib, numpy
from lib.system.preflight import inspect_process
from lib.artifacts.npz_files import map_bytes
resource.setrlimit(resource.RLIMIT_NOFILE, (48, 96))
first = inspect_process()[0]
assert first.ok and "96" in first.found, first
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (96, 96)
path = pathlib.Path(sys.argv[1])
maps = [map_bytes(path, (7, 3)) for _ in range(300)]
for one in maps:
    assert (one == numpy.arange(21, dtype=numpy.uint8).reshape(7, 3)).all()
path.unlink()
assert maps[0].sum() == 210
"""


def test_limit_of_open_files_is_raised_and_entries_hold_none(tmp_path):
    np.arange(21, dtype=np.uint8).tofile(tmp_path / "patches.u8")
    done = python(OPEN_FILES, str(tmp_path / "patches.u8"))
    assert done.returncode == 0, done.stderr


def test_short_entry_is_no_array(tmp_path):
    from lib.artifacts.npz_files import map_bytes

    (tmp_path / "patches.u8").write_bytes(b"123")
    with pytest.raises(ValueError, match="3 bytes, not 20"):
        map_bytes(tmp_path / "patches.u8", (4, 5))


def test_without_shared_memory_all_is_done_in_one_process(monkeypatch, tmp_path):
    processes.has_process_pools.cache_clear()
    monkeypatch.setattr(
        multiprocessing.get_context("fork"), "Lock", rejecting(errno.EROFS)
    )
    try:
        assert worker_count(8, tomograms=20, need=1) <= 1
        gray = np.zeros((3, 4, 4), np.uint8)
        with writing_patch_pictures(
            tmp_path / "imgs", gray, fingerprint="x", workers=2
        ):
            pass
        assert len(list((tmp_path / "imgs").glob("*.png"))) == 3
    finally:
        processes.has_process_pools.cache_clear()


# --- ranks ---------------------------------------------------------------------

WHOLE = {"WORLD_SIZE": "4", "RANK": "1", "MASTER_ADDR": "n1", "MASTER_PORT": "29500"}


@pytest.fixture
def launch_variables(monkeypatch):
    ranks.warn_once.cache_clear()
    for name in (*ranks.VARIABLES, "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)

    def set_all(values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


def test_complete_launch_is_believed(launch_variables):
    launch_variables(WHOLE)
    assert ranks.find_launch() == ranks.Launch(1, 4, False, "n1")


@pytest.mark.parametrize(
    "change",
    [
        {"RANK": ""},
        {"MASTER_ADDR": ""},
        {"MASTER_PORT": "x"},
        {"WORLD_SIZE": "many"},
        {"RANK": "4"},
    ],
)
def test_leftovers_of_a_launch_are_named_and_ignored(launch_variables, capsys, change):
    launch_variables({**WHOLE, **change, "LOCAL_WORLD_SIZE": "x"})
    assert init_distributed().world == 1
    assert machine.ranks_here() == 1
    said = capsys.readouterr().err
    assert next(iter(change)) in said
    assert "torchrun" in said


def test_ranks_that_cannot_meet_say_so(launch_variables, monkeypatch):
    launch_variables(WHOLE)

    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ResourceError, match="n1.*--local_addr"):
        init_distributed()


# --- caches and pictures -------------------------------------------------------


@pytest.fixture
def nowhere_to_keep(monkeypatch, tmp_path):
    """No folder of numba's can be written; temporary files lie in the one returned."""
    monkeypatch.setattr(caches, "is_writable", lambda place: tmp_path in place.parents)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/numba")
    caches.private_folder.cache_clear()
    yield tmp_path
    caches.private_folder.cache_clear()


def test_numba_gets_a_private_folder_where_it_has_none(nowhere_to_keep):
    caches.ensure_numba_cache()
    place = Path(os.environ["NUMBA_CACHE_DIR"]).parent
    assert place.parent == nowhere_to_keep
    assert place.stat().st_mode & 0o077 == 0


def test_compiled_code_is_not_kept_where_others_can_write(nowhere_to_keep):
    planted = nowhere_to_keep / f"caches-of-user-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    assert caches.private_folder() != planted


def test_home_that_nobody_knows_is_not_made_in_the_current_folder(tmp_path):
    assert caches.is_writable(tmp_path / "not" / "yet")
    assert not caches.is_writable(Path("~/.cache/numba"))


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "qt"])
def test_backend_of_a_notebook_does_not_matter(backend):
    done = python("import lib.pictures.canvas", MPLBACKEND=backend)
    assert done.returncode == 0, done.stderr


def test_style_of_the_user_does_not_change_the_pictures(tmp_path):
    import matplotlib

    from lib.pictures.candidate_picture import draw_candidates

    volume = np.random.default_rng(1).normal(size=(6, 20, 30)).astype(np.float32)
    write_mrc(tmp_path / "tomo.rec", volume, order="zxy")
    tomogram = Tomogram.from_files(tmp_path / "tomo.rec", "zxy")
    about = {"box": 4, "diameter": 4, "sigmas": (3, 5)}
    coords = np.array([[5, 5, 3]])
    draw_candidates(tmp_path / "a.png", tomogram, coords, **about)
    with matplotlib.rc_context({"text.usetex": True, "font.size": 30}):
        draw_candidates(tmp_path / "b.png", tomogram, coords, **about)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


# --- streams and scripts -------------------------------------------------------

SAY = """
import sys
from pathlib import Path
from lib.errors import run_script
def main():
    for number in range(5000):
        print("tomö", number, flush=True)
    print("wärning", file=sys.stderr)
    sys.stdout.isatty()
    Path(sys.argv[1]).write_text("done")
run_script(main)
"""
SHELLS = {
    "closed": "exec >&- 2>&- <&-; exec",
    "full": "exec >/dev/full 2>&1; exec",
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("output", SHELLS)
def test_output_that_goes_nowhere_does_not_end_the_work(tmp_path, output):
    done = python(SAY, str(tmp_path / "result"), shell=SHELLS[output])
    assert done.returncode == 0
    assert (tmp_path / "result").read_text() == "done"


def test_reader_that_stops_listening_does_not_end_the_work(tmp_path):
    result = tmp_path / "result"
    process = subprocess.Popen(
        [sys.executable, "-c", SAY, str(result)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read().decode()
    assert process.returncode == 0
    assert "Traceback" not in said
    assert result.read_text() == "done"


def test_terminal_without_umlauts_shows_their_numbers(tmp_path):
    done = python(SAY, str(tmp_path / "result"), PYTHONIOENCODING="ascii:strict")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tom\\xf6 0\n")


REJECT = "from lib.errors import run_script\ndef main():\n    {}\nrun_script(main)"


def test_package_of_another_installation_is_named(tmp_path):
    (tmp_path / "mrcfile.py").write_text("raise ImportError('wrong ABI')")
    done = python(REJECT.format("import mrcfile"), PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "mrcfile cannot be imported (wrong ABI); unset PYTHONPATH" in done.stderr
    ours = python(REJECT.format("import lib.nothing"))
    assert "Traceback" in ours.stderr  # our own bug is not hidden


@pytest.mark.parametrize(
    "script", sorted(p.name for p in PROJECT.glob("*.py") if p.stem != "opts")
)
def test_scripts_find_their_modules_on_a_safe_path(tmp_path, script):
    """PYTHONSAFEPATH, as python -P and -I, leaves out the folder of the script."""
    command = [sys.executable, "-I", str(PROJECT / script), "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_folder_that_is_gone_is_rejected(tmp_path):
    (tmp_path / "gone").mkdir()
    shell = f"cd '{tmp_path}/gone'; rmdir ../gone; exec"
    done = python(REJECT.format("pass"), shell=shell, PYTHONPATH=str(PROJECT))
    assert done.returncode == 2
    assert "was deleted" in done.stderr


def test_session_without_assertions_is_rejected():
    code = REJECT.format(
        "from lib.session.phoenix import check_phoenix; check_phoenix()"
    )
    done = python(code, PYTHONOPTIMIZE="2")
    assert done.returncode == 2
    assert "unset PYTHONOPTIMIZE" in done.stderr


ODD = {
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "x",
    "OMP_NUM_THREADS": "many",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "NUMBA_CACHE_DIR": "/proc/numba",
    "MPLCONFIGDIR": "/proc/matplotlib",
    "HOME": "/proc/nobody",
    "TMPDIR": "/nowhere",
    "LC_ALL": "C",
    "PYTHONIOENCODING": "ascii:strict",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "CUDA_VISIBLE_DEVICES": "",
    "SLURM_CPUS_ON_NODE": "72(x2)",
}


def test_odd_shell_finds_the_same_candidates(data_set, stores, tmp_path):
    """Closed input and output too; what is left on standard error is one warning."""
    exp_dir = tmp_path / "exp_ö"
    command = train_command(data_set, exp_dir, "--dry_run", epochs=1)
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" >&- <&-', sys.executable, *map(str, command)],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        env={**os.environ, **ODD},
    )
    assert done.returncode == 0, done.stderr
    ours = [line for line in done.stderr.splitlines() if "warning:" in line]
    assert len(ours) == 1, done.stderr
    assert "WORLD_SIZE=4 is ignored" in ours[0]
    made = sorted(np.load(p).tobytes() for p in exp_dir.glob(".patches/*/coords.npy"))
    expected = sorted(s.coords.tobytes() for s in stores["simsiam3d"].entries)
    assert made == expected
    assert len(list(folder_of(exp_dir).glob("candidates_*.png"))) == len(expected)
    assert not (tmp_path / "~").exists()


def test_doctor_goes_on_where_torch_is_broken_and_tells_no_secret(tmp_path):
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so.12: not found')")
    done = python(
        "import runpy; runpy.run_module('lib.system.doctor', run_name='__main__')",
        PYTHONPATH=os.pathsep.join([str(tmp_path), str(PROJECT)]),
        AWS_SECRET_ACCESS_KEY="hush-hush",
        SLURM_JOB_ID="4711",
    )
    assert done.returncode == 0, done.stderr
    for words in ("libcudart.so.12: not found", "numba", "open files", "4711", "exp"):
        assert words in done.stdout
    assert "hush" not in done.stdout + done.stderr


@pytest.mark.parametrize(("threads", "kept"), [("0", None), ("-2", None), ("3", "3")])
def test_number_of_threads_that_numba_cannot_take_is_ignored(
    monkeypatch, capsys, threads, kept
):
    monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
    warn_once.cache_clear()
    caches.ensure_numba_cache()
    assert os.environ.get("NUMBA_NUM_THREADS") == kept
    assert (f"NUMBA_NUM_THREADS={threads}" in capsys.readouterr().err) == (kept is None)


def test_link_to_a_disk_that_is_gone_is_named(tmp_path):
    (tmp_path / "cache").symlink_to("/scratch/purged")
    result = inspect_folder(tmp_path / "cache", "--cache_dir")
    assert "is a link to /scratch/purged, which does not exist" in result.found
    assert "--cache_dir" in result.remedy


def test_limit_of_processes_is_told_with_what_to_do(data_set, tmp_path, monkeypatch):
    def refused(*_, **__):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(resources, "ProcessPoolExecutor", refused)
    options = small_options()
    listed = read_image_list(
        data_set, project=tmp_path, needs_tilts=False, order=options.order
    )
    with pytest.raises(ResourceError, match="ulimit -u.*--num_workers 0"):
        prepare_store(listed, options, cache=tmp_path / "cache", workers=2)
