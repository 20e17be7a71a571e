import numpy as np
import pytest

from lib.errors import InputError
from lib.inputs.tomogram import read_tilt_angles


def write_angles(tmp_path, content):
    path = tmp_path / "t.tlt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "angles"),
    [
        (b" -60.01\n -57.00\n", [-60.01, -57.0]),
        (b"-3\r\n0\r\n+3\r\n\r\n\r\n", [-3, 0, 3]),
        (b"\xef\xbb\xbf3.0 1.2 100\n\n-0.00\t0.3\n", [3, 0]),
        (b"60,\n-6e1,\n.5", [60, -60, 0.5]),
        (b"90.\r-90.\r", [90, -90]),
        (b"2.5\n", [2.5]),
    ],
    ids=["imod", "crlf", "columns and bom", "commas", "old mac", "one image"],
)
def test_angles_from_the_wild(tmp_path, content, angles):
    read = read_tilt_angles(write_angles(tmp_path, content), len(angles))
    np.testing.assert_array_equal(read, angles)
    assert read.dtype == np.float64
    assert not np.signbit(read[read == 0]).any()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"1\n2\n", "has 2 angles, the tilt series 3 images"),
        (b"1\n2\n3\n4\n", "has 4 angles, the tilt series 3 images"),
        (b"", "has 0 angles"),
        (b"0\n0\n-0.0\n", "all 3 angles are 0 degrees"),
        (b"1\n1e24\n3\n", "line 2: '1e24' is not within"),
        (b"1\n90.01\n3\n", "line 2: '90.01' is not within"),
        (b"1\n\nnan\n3\n", "line 3: 'nan' is not finite"),
        (b"-inf\n2\n3\n", "line 1: '-inf' is not finite"),
        (b"# AreTomo\n2\n3\n", "line 1: '#' is not an angle"),
        (b"1_0\n2\n3\n", "'1_0' is not an angle"),
        (b"1,5\n2,5\n3,5\n", "'1,5' is not an angle"),
        ("٣\n2\n3\n".encode(), "is not an angle"),
        (b"\xff\xfe1\0\n\0", "not UTF-8 text"),
        (b"\0\0\0\0", "is not an angle"),
        (b"1" * 2**20 + b"x", "larger than"),
        (b"1" * (2**20 - 1) + b"x", "is not an angle"),
    ],
)
def test_wrong_angles_are_rejected(tmp_path, content, reason):
    path = write_angles(tmp_path, content)
    with pytest.raises(InputError, match=reason) as caught:
        read_tilt_angles(path, 3)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 400


def test_missing_angle_file_is_rejected(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_tilt_angles(tmp_path / "none.tlt", 3)
