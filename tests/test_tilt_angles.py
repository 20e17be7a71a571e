import numpy as np
import pytest

from lib.errors import InputError
from lib.inputs.tilt_angles import read_tilt_angles
from lib.inputs.tilt_scheme import describe_misfit_of_angles, find_break


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


EVEN = np.arange(-60, 61, 3.0)


def saxton():
    """Steps that shrink with the cosine of the tilt."""
    half = [0.0]
    while half[-1] < 62:
        half.append(half[-1] + 3 * np.cos(np.deg2rad(half[-1])))
    return np.array([*(-angle for angle in half[:0:-1]), *half])


def dose_symmetric():
    return EVEN[np.argsort(np.abs(EVEN), kind="stable")]


SCHEMES = {
    "by 3": EVEN,
    "by 2": np.arange(-60, 61, 2.0),
    "by 1": np.arange(-60, 61, 1.0),
    "descending": EVEN[::-1],
    "dose-symmetric": dose_symmetric(),
    "from the middle": np.r_[np.arange(-20, 61, 2.0), np.arange(-22, -61, -2.0)],
    "one side far": np.arange(-20, 61, 3.0),
    "one side only": np.arange(0, 61, 3.0),
    "lamella": np.arange(-48, 73, 3.0),
    "offset": EVEN + 11.3,
    "as the stage read": EVEN + np.random.default_rng(0).normal(0, 0.1, 41),
    "few": np.arange(-40, 41, 10.0),
    "five": np.array([-60, -30, 0, 30, 60.0]),
    "narrow": np.arange(-10, 11, 2.0),
    "0 twice": np.r_[EVEN, 0],
    "every tilt twice": np.r_[EVEN, EVEN + 0.05],
    "one side, each twice": np.repeat(np.arange(0, 61, 3.0), 2),
    "Saxton": saxton(),
    "three": np.array([-3, 0, 3.0]),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_schemes_pass(name):
    assert describe_misfit_of_angles(SCHEMES[name]) is None


def test_missing_tilts_pass():
    rng = np.random.default_rng(1)
    for count in rng.integers(7, 40, 100):
        left = np.sort(rng.choice(EVEN + 0.02, count, replace=False))
        assert describe_misfit_of_angles(left) is None, left


def normal(mean, std):
    return np.random.default_rng(2).normal(mean, std, 41).clip(-90, 90)


NONSENSE = {
    "image numbers": (np.arange(1, 42.0), "image numbers"),
    "numbers from 0": (np.arange(41.0), "image numbers"),
    "order of exposure": (1 + np.argsort(dose_symmetric()), "order of exposure"),
    "radians": (np.deg2rad(EVEN), "radians; in degrees they would be -60.0 to 60.0"),
    "doses": (2 * np.arange(1, 42.0), "dose"),
    "doses of half": (1.5 * np.arange(1, 42.0), "dose"),
    "doses before": (2.2 * np.arange(41.0), "dose"),
    "defocus": (normal(4, 0.3), "span"),
    "tilt axis": (normal(85, 0.3), "span"),
    "scattered far from 0": (normal(60, 8), "none near 0"),
    "transform": (normal(0.99, 1e-3), "span"),
    "groups": (np.repeat([-30.0, 0, 30], 14), "only 3 different"),
    "shifts": (normal(0, 20), "without a rule"),
    "signs lost": (np.abs(EVEN), "lost their signs"),
    "signs lost, by dose": (np.abs(dose_symmetric()) + 0.02, "lost their signs"),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_told(tmp_path, name):
    angles, reason = NONSENSE[name]
    path = tmp_path / "a.tlt"
    path.write_text("\n".join(map(str, angles)))
    with pytest.raises(InputError, match=reason) as error:
        read_tilt_angles(path, len(angles))
    assert f"{path} is not a list of tilt angles" in str(error.value)
    assert "give the .tlt" in str(error.value)


def test_few_random_numbers_pass_for_a_scheme():
    rng = np.random.default_rng(3)
    passed = [
        describe_misfit_of_angles(rng.uniform(-90, 90, 41)) is None for _ in range(200)
    ]
    assert np.mean(passed) < 0.05


def test_angles_of_one_sign_are_warned_of(tmp_path, capsys):
    path = tmp_path / "half.tlt"
    path.write_text("\n".join(map(str, SCHEMES["one side only"])))
    read_tilt_angles(path, 21)
    assert "never change sign" in capsys.readouterr().err


@pytest.mark.parametrize("name", SCHEMES)
def test_no_angle_of_a_scheme_stands_out(name):
    assert find_break(SCHEMES[name]) is None


@pytest.mark.parametrize("way", [1, -1], ids=["rising", "falling"])
@pytest.mark.parametrize("value", [30.0, -30.0])
def test_single_mistake_is_warned_of_with_its_line(tmp_path, capsys, way, value):
    angles = way * EVEN + 0.0
    angles[21] = value  # of 3 degrees
    path = tmp_path / "typo.tlt"
    path.write_text("\n".join(map(str, angles)))
    np.testing.assert_array_equal(read_tilt_angles(path, 41), angles)
    said = capsys.readouterr().err
    assert f"line 22: {value} stands between {angles[20]:g} and {angles[22]:g}" in said


@pytest.mark.parametrize("before", ["dose", "number"])
def test_angles_in_another_column_are_pointed_out(tmp_path, before):
    path = tmp_path / "columns.tlt"
    first = {"dose": 3 * np.arange(41.0), "number": np.arange(41)}[before]
    rows = zip(first, EVEN, strict=True)
    path.write_text("\n".join(f"{other} {angle}" for other, angle in rows))
    with pytest.raises(InputError, match="column 2, -60 to 60, looks like them"):
        read_tilt_angles(path, 41)
