"""Each reader gives the right data or our error, whatever the bytes are."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.axis_orders import ORDERS
from lib.errors import UserError
from lib.inputs.image_list import read_image_list
from lib.inputs.mrc import inspect_mrc
from lib.inputs.tilt_angles import read_tilt_angles
from lib.inputs.tomogram import Tomogram
from tests.mrc_files import read

SHAPE = (4, 5, 6)
DTYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
FIELDS = (0, 4, 8, 12, 28, 32, 36, 40, 44, 48, 76, 80, 88, 92, 152, 156, 208, 212)
NASTY = (0, 1, -1, 2, 3, 4, 5, 6, 7, 12, 256, 401, 2**20, 2**31 - 1, -(2**31))
# Blocks of a few MB are read at once; more is what the header asked for.
MOST_MEMORY = 32e6
# Counted in seconds on a machine that others use too: only for endless loops.
LONGEST_EXAMPLE_MS = 60_000

header_patches = st.lists(
    st.tuples(
        st.sampled_from(FIELDS) | st.integers(0, 1020),
        st.sampled_from(NASTY) | st.integers(-(2**31), 2**31 - 1),
        st.sampled_from("<>"),
    ),
    min_size=1,
    max_size=4,
)


def make_mrc(folder, mode, endian="<", seed=0, extended=b""):
    """Return the bytes of an MRC file, and its voxels."""
    rng = np.random.default_rng(seed)
    voxels = rng.integers(0, 100, SHAPE).astype(endian + DTYPES[mode])
    path = folder / "seed.mrc"
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(np.zeros(SHAPE, DTYPES[mode]))
        mrc.voxel_size = 10
    header = np.frombuffer(path.read_bytes()[:1024], mrcfile.dtypes.HEADER_DTYPE)[0]
    header = header.copy()
    header["nsymbt"] = len(extended)
    header["machst"] = [0x44, 0x44, 0, 0] if endian == "<" else [0x11, 0x11, 0, 0]
    header = header.astype(header.dtype.newbyteorder(endian))
    return header.tobytes() + extended + voxels.tobytes(), voxels


def decode(content):
    """Return every array that `content` may mean: either byte order, signed or not."""
    meanings = []
    for endian in "<>":
        nx, ny, nz, mode = struct.unpack(endian + "4i", content[:16])
        (extended,) = struct.unpack(endian + "i", content[92:96])
        if mode not in DTYPES or min(nx, ny, nz) < 1 or extended < 0:
            continue
        dtypes = [endian + DTYPES[mode]] + ["u1"] * (mode == 0)
        for dtype in map(np.dtype, dtypes):
            start, stop = (
                1024 + extended,
                1024 + extended + nx * ny * nz * dtype.itemsize,
            )
            if stop <= len(content):
                voxels = np.frombuffer(content[start:stop], dtype)
                meanings.append(voxels.reshape(nz, ny, nx))
    return meanings


def check_mrc(path, content):
    """Hold every MRC reader to: one of the meanings of the bytes, or an error."""
    meanings = decode(content)
    tracemalloc.start()
    try:
        info = inspect_mrc(path)
        order = "zxy" if info.shape[0] == min(info.shape) else "auto"
        tomogram = Tomogram.from_files(path, order)
        mapped, array = tomogram.map_voxels(), tomogram.read_voxels()
    except UserError as error:
        assert str(path) in str(error)
        return
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MOST_MEMORY
    arranged = [voxels.transpose(ORDERS[tomogram.order]) for voxels in meanings]
    assert any(np.array_equal(mapped, meaning) for meaning in arranged)
    np.testing.assert_array_equal(array, mapped.astype(np.float32))
    assert np.isfinite(array).all()
    assert array.min() < array.max()


def check_random_bytes(folder, content, n_images):
    path = folder / "random"
    path.write_bytes(content)
    check_mrc(path, content.ljust(1024, b"\0"))
    for reader in (
        lambda: read_tilt_angles(path, n_images),
        lambda: read_image_list(path, project=folder, needs_tilts=True),
        lambda: Tomogram.from_files(path, "zxy", tilt_path=path, angle_path=path),
    ):
        try:
            reader()
        except UserError as error:
            assert str(path) in str(error)


def check_mutated_header(folder, mode, endian, patches, resize, packed):
    content, _ = make_mrc(folder, mode, endian)
    content = bytearray(content)
    for offset, value, order in patches:
        struct.pack_into(order + "i", content, offset, value)
    content = bytes(content[: len(content) + resize]) + bytes(max(resize, 0))
    path = folder / "mutated.mrc"
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    check_mrc(path, content)
    angle_path = folder / "t.tlt"
    angle_path.write_text("\n".join(map(str, range(SHAPE[0]))))
    try:
        tomogram = Tomogram.from_files(
            path, "zxy", tilt_path=path, angle_path=angle_path
        )
        series = tomogram.read_tilts()
    except UserError:
        return
    assert len(series.images) == len(series.angles)
    assert any(
        np.array_equal(series.images, voxels[series.angles.astype(int)])
        for voxels in decode(content)
    )


def check_mutated_gzip(folder, mode, position, value, cut):
    content, voxels = make_mrc(folder, mode)
    packed = bytearray(gzip.compress(content, 1, mtime=0))
    packed[position % len(packed)] ^= value
    path = folder / "mutated.mrc.gz"
    path.write_bytes(packed[: len(packed) - cut])
    try:
        array = read(path)
    except UserError as error:
        assert str(path) in str(error)
    else:  # a byte that does not matter, such as the time of packing
        np.testing.assert_array_equal(array, voxels)


def check_good_file(folder, mode, endian, order, seed, extended, packed):
    content, voxels = make_mrc(folder, mode, endian, seed, extended)
    path = folder / "good.mrc"
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    volume = voxels.transpose(ORDERS[order])
    tomogram = Tomogram.from_files(path, order)
    np.testing.assert_array_equal(tomogram.read_voxels(), volume)
    np.testing.assert_array_equal(tomogram.map_voxels(), volume)
    assert tomogram.voxel_size == 10


def check_angles(folder, lines, ending, bom):
    text = ending.join(lines)
    path = folder / "a.tlt"
    path.write_bytes(("\ufeff" * bom + text).encode())
    expected = [line.split()[0] for line in lines if line.split()]
    try:
        angles = read_tilt_angles(path, len(expected))
    except UserError as error:
        assert str(path) in str(error)
        return
    assert np.abs(angles).max(initial=0) <= 90
    assert angles.tolist() == [float(first.rstrip(",;")) for first in expected]


def check_list(folder, names, rows, separator, ending):
    (folder / "t.rec").write_bytes(make_mrc(folder, 2)[0])
    lines = [["image_name", "rec_path"], *([name, "t.rec"] for name in names), *rows]
    path = folder / "list.txt"
    path.write_bytes(ending.join(map(separator.join, lines)).encode())
    try:
        listed = read_image_list(path, project=folder, needs_tilts=False, order="zxy")
    except UserError as error:
        assert str(path) in str(error)
        return
    assert len({row.name for row in listed}) == len(listed) > 0
    for row in listed:
        assert (folder / f"{row.name}_rec3d.npy").resolve().parent == folder.resolve()
        assert row.rec_path == folder / "t.rec"


words = st.sampled_from(
    ["0", "-60.01", "3", "+2.", ".5", "1e24", "nan", "9e1", "-0.00"]
)
anything = st.text(max_size=8)
names = st.text("abc1.-_é細#'\"/ ", min_size=1, max_size=5)
cells = anything | st.sampled_from(["t.rec", "a", '"a b"', "'", '"', "#", "~", "$X"])
CHECKS = {
    check_random_bytes: {
        "content": st.binary(max_size=1500)
        | st.text("0123456789.-+enai \t\r\n#\"'$~", max_size=300).map(str.encode),
        "n_images": st.integers(1, 5),
    },
    check_mutated_header: {
        "mode": st.sampled_from(list(DTYPES)),
        "endian": st.sampled_from("<>"),
        "patches": header_patches,
        "resize": st.just(0) | st.integers(-200, 200),
        "packed": st.booleans(),
    },
    check_mutated_gzip: {
        "mode": st.sampled_from(list(DTYPES)),
        "position": st.integers(0, 2**16),
        "value": st.integers(0, 255),
        "cut": st.just(0) | st.integers(0, 100),
    },
    check_good_file: {
        "mode": st.sampled_from(list(DTYPES)),
        "endian": st.sampled_from("<>"),
        "order": st.sampled_from(list(ORDERS)),
        "seed": st.integers(0, 2**32),
        "extended": st.binary(max_size=100),
        "packed": st.booleans(),
    },
    check_angles: {
        "lines": st.lists(
            st.lists(words | anything, max_size=3).map(" ".join), max_size=6
        ).map(lambda lines: [" ".join(line.split()) for line in lines]),
        "ending": st.sampled_from(["\n", "\r\n", "\r"]),
        "bom": st.booleans(),
    },
    check_list: {
        "names": st.lists(names, min_size=1, max_size=3, unique=True),
        "rows": st.just([]) | st.lists(st.lists(cells, max_size=4), max_size=3),
        "separator": st.sampled_from([" ", "\t", " \t "]),
        "ending": st.sampled_from(["\n", "\r\n"]),
    },
}


def run(check, folder, examples, **choices):
    given_check = given(folder=st.just(folder), **CHECKS[check])(check)
    settings(
        max_examples=examples,
        deadline=LONGEST_EXAMPLE_MS,
        database=None,
        suppress_health_check=list(HealthCheck),
        **choices,
    )(given_check)()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_readers_hold(check, tmp_path):
    run(check, Path(tmp_path), examples=60, derandomize=True)


@pytest.mark.long
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_readers_hold_for_long(check, tmp_path):
    run(check, Path(tmp_path), examples=3000)
