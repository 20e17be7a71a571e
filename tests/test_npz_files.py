"""Large arrays of an npz stay on disk and are read in slices of rows."""

import zipfile

import numpy as np
import pytest

from lib.artifacts import ArtifactError, npz_files
from lib.artifacts.npz_files import StoredArray, read_npz
from lib.pictures.patch_pictures import gray_levels


@pytest.fixture
def array(monkeypatch):
    monkeypatch.setattr(npz_files, "LARGE", 1000)
    return np.random.default_rng(0).normal(size=(1200, 1, 5, 6)).astype(np.float32)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_slices_hold_what_the_array_held(tmp_path, array, save):
    save(tmp_path / "e.npz", a=array, b=array, small=np.arange(3))
    stored = read_npz(tmp_path / "e.npz", in_pieces=["a", "small"])
    found = stored["a"]
    assert isinstance(found, StoredArray)
    assert isinstance(stored["b"], np.ndarray)  # large, but wanted at once
    assert isinstance(stored["small"], np.ndarray)
    assert (found.shape, found.ndim, found.size) == (array.shape, 4, array.size)
    for rows in (slice(0, 500), slice(500, 900), slice(100, 101), slice(1100, 2000)):
        np.testing.assert_array_equal(found[rows], array[rows])
    np.testing.assert_array_equal(found[:, 0], array[:, 0])
    np.testing.assert_array_equal(found[::7], array[::7])
    np.testing.assert_array_equal(np.asarray(found), array)
    np.testing.assert_array_equal(gray_levels(found), gray_levels(array))


def test_the_order_of_fortran_and_other_numbers_are_read_as_they_are(tmp_path, array):
    odd = np.asfortranarray(array[:, 0, 0]), array.astype(">f8")
    np.savez(tmp_path / "e.npz", a=odd[0], b=odd[1])
    stored = read_npz(tmp_path / "e.npz", in_pieces=["a", "b"])
    np.testing.assert_array_equal(stored["a"], odd[0])
    np.testing.assert_array_equal(stored["b"][3:9], odd[1][3:9])


def test_a_file_that_is_replaced_meanwhile_is_read_to_its_end(tmp_path, array):
    path = tmp_path / "e.npz"
    np.savez(path, a=array)
    found = read_npz(path, in_pieces=["a"])["a"]
    np.savez(tmp_path / "new.npz", b=0 * array, a=0 * array)
    (tmp_path / "new.npz").replace(path)
    for rows in (slice(0, 600), slice(600, 1200), slice(0, 10)):
        np.testing.assert_array_equal(found[rows], array[rows])


def test_damage_is_found_at_the_latest_with_the_last_rows(tmp_path, array):
    path = tmp_path / "e.npz"
    np.savez(path, a=array)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    found = read_npz(path, in_pieces=["a"])["a"]
    with pytest.raises(ArtifactError, match=r"e\.npz cannot be read"):
        gray_levels(found)


def test_a_header_of_another_size_is_refused_at_once(tmp_path, array):
    archive = zipfile.ZipFile(tmp_path / "e.npz", "w")
    with archive, archive.open("a.npy", "w") as stream:
        np.lib.format.write_array(stream, array)
        stream.write(b"more")
    with pytest.raises(ArtifactError, match=r"e\.npz cannot be read"):
        read_npz(tmp_path / "e.npz", in_pieces=["a"])
