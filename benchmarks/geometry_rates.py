"""How often the geometry check is right, over noise levels and mistakes.

    python benchmarks/geometry_rates.py
    python benchmarks/geometry_rates.py --depths 16,24,32 --only none,off,neg,rev

Synthetic specimens (sample_data/make_synthetic.py) get noise, are spoiled by every
mistake on purpose and checked as files, as a user's would be; what a remedy names is
then done, and the files are checked again. Two kinds of tomogram:
reconstructed from the very tilt images, whose noise then helps to tell; and from
images with other noise, as after denoising, where it hides the match.
"""

import argparse
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.errors import InputError, run_script
from lib.geometry.check import AGREES, OTHER, UNCLEAR, examine
from lib.geometry.contrast_check import (
    contrast_is_wrong,
    describe_odd_contrast,
    describe_wrong_contrast,
)
from lib.geometry.hypotheses import IMAGE_TRANSFORMS
from lib.inputs.tomogram import Tomogram
from sample_data import simulation
from sample_data.make_synthetic import make_tomogram, tilt_angles

EDGE = 160  # of the tomogram along y and x [voxels]
NOISES = (1, 3, 10, 30, 100)  # std, in that of the noiseless images
ANGLES = tilt_angles(60, 3)
AS_SURE = 0.9  # of the correlation of the right files, after a remedy


def _move_each(images, rng, reach):
    moves = rng.integers(-reach, reach + 1, (len(images), 2))
    pairs = zip(images, moves, strict=True)
    return np.array([np.roll(image, tuple(move), (0, 1)) for image, move in pairs])


# Mistake: how it changes (tomogram, images, angles), and a word of its remedy, ""
# where nothing is to be said, None where any error will do.
CASES = {
    "none": (lambda t, i, a, rng: (t, i, a), ""),
    "none, images within 1 px": (
        lambda t, i, a, rng: (t, _move_each(i, rng, 1), a),
        "",
    ),
    "tomogram inverted": (lambda t, i, a, rng: (-t, i, a), "use --bright"),
    "tilt images inverted": (lambda t, i, a, rng: (t, -i, a), "images"),
    "both inverted": (lambda t, i, a, rng: (-t, -i, a), "use --bright"),
    "angles negated": (lambda t, i, a, rng: (t, i, -a), "flip_tilt_angles"),
    "z reversed": (lambda t, i, a, rng: (t[::-1], i, a), "flip_tilt_angles"),
    **{
        f"angles {off:+d} degrees off": (
            lambda t, i, a, rng, off=off: (t, i, a + off),
            f"add about {'-' if off > 0 else ''}",
        )
        for off in (3, -3, 6, -6, 12, -12)
    },
    "images mirrored": (lambda t, i, a, rng: (t, i[:, ::-1], a), "mirrored"),
    "images transposed": (
        lambda t, i, a, rng: (t, i.transpose(0, 2, 1), a),
        "mirrored along",
    ),
    "images turned by 90": (
        lambda t, i, a, rng: (t, np.rot90(i, 1, (1, 2)), a),
        "turned by 90",
    ),
    "tilt axis along x": (
        lambda t, i, a, rng: (t.transpose(0, 2, 1), i.transpose(0, 2, 1), a),
        "along x",
    ),
    "z cut unevenly by 24": (lambda t, i, a, rng: (t[24:], i, a), "middle slice"),
    "images not aligned": (
        lambda t, i, a, rng: (t, _move_each(i, rng, 25), a),
        "before alignment",
    ),
    "angles in another order": (
        lambda t, i, a, rng: (t, i, rng.permutation(a)),
        None,
    ),
    "angles of 2-degree steps": (lambda t, i, a, rng: (t, i, a * 2 / 3), None),
    "image numbers as angles": (
        lambda t, i, a, rng: (t, i, 1.0 + np.arange(len(a))),
        "not a list",
    ),
    "doses as angles": (
        lambda t, i, a, rng: (t, i, 1.8 * (1 + np.arange(len(a)))),
        "not a list",
    ),
    "shifts as angles": (
        lambda t, i, a, rng: (t, i, rng.normal(0, 20, len(a)).clip(-80, 80)),
        None,
    ),
    "series of another tomogram": (lambda t, i, a, rng: (t, i, a), None),
}


def main():
    """Print a table for each kind of tomogram."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=4, help="specimens a case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--depths", default="64", help="thickness [voxels]")
    parser.add_argument("--only", default="", help="parts of the names of the cases")
    options = parser.parse_args()
    words = options.only.split(",")
    cases = {name: CASES[name] for name in CASES if any(w in name for w in words)}
    for depth in map(int, options.depths.split(",")):
        shape = (depth, EDGE, EDGE)
        matrix = simulation.projection_matrix(ANGLES, depth, EDGE, 1)
        specimens = [
            make_tomogram(
                [options.seed, number], shape, angles=ANGLES, noise=0, order="zxy"
            ).tilts
            for number in range(options.repeats)
        ]
        for same in (True, False):
            outcomes = measure(specimens, matrix, cases, same, options.seed)
            source = "the very" if same else "other"
            print(f"\n{depth} voxels thick, tomogram from {source} images:\n")
            print_table(outcomes, cases)


def measure(specimens, matrix, cases, same, seed):
    """Return the outcomes, a Counter by (case, noise).

    Parameters
    ----------
    specimens : list of ndarray, shape (T, Y, X)
        Noiseless tilt images.
    matrix : scipy.sparse.csr_array
        Projects them, see `sample_data.simulation.projection_matrix`.
    cases : dict
        Those of `CASES` that are wanted.
    same : bool
        Whether the tomogram is made of the images it is compared with.
    seed : int
    """
    outcomes = defaultdict(Counter)
    for noise in tqdm(NOISES, desc="noise levels", disable=None):
        for number, clean in enumerate(specimens):
            rng = np.random.default_rng([seed, number, noise])
            images = add_noise(clean, noise, rng)
            source = images if same else add_noise(clean, noise, rng)
            tomogram = simulation.back_project(source, matrix)
            foreign = add_noise(specimens[number - 1], noise, rng)
            for case, (spoil, word) in cases.items():
                shown = foreign if case.startswith("series of another") else images
                spoiled = spoil(tomogram, shown, ANGLES, rng)
                outcomes[case, noise][judge(*spoiled, word)] += 1
    return outcomes


def add_noise(images, noise, rng):
    """Add white noise of `noise` times the std of all images."""
    scale = np.float32(noise * images.std())
    return images + scale * rng.standard_normal(images.shape, np.float32)


def judge(tomogram, images, angles, word):
    """Check a tomogram as files; say whether the outcome is what it should be.

    Returns
    -------
    {"right", "unclear", "other remedy", "FALSE ALARM", "MISSED", "REMEDY FAILS"}
    """
    try:
        found = check_files(tomogram, images, angles)
    except InputError as error:
        if word == "":
            return "FALSE ALARM"
        return "right" if word is None or word in str(error) else "other remedy"
    wrong = [found] if contrast_is_wrong(found, False) else []
    contrast = " ".join(
        describe_wrong_contrast(wrong, False) + describe_odd_contrast([found], False)
    )
    if found.verdict == UNCLEAR:
        return "unclear"
    if word == "":
        quiet = found.verdict == AGREES and not contrast
        return "right" if quiet else "FALSE ALARM"
    if found.verdict == AGREES and not contrast:
        undecided = word == "use --bright" and found.contrast.protein is None
        return "unclear" if undecided else "MISSED"
    if word is not None and word not in found.remedy + contrast:
        return "other remedy"
    if found.verdict != OTHER:
        return "right"
    again = check_files(*mend(found.other, tomogram, images, angles))
    sure = again.verdict == AGREES and abs(again.asked) > AS_SURE * abs(found.best)
    return "right" if sure else "REMEDY FAILS"


def check_files(tomogram, images, angles):
    """Write a tomogram, its images and angles, and examine the files."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        simulation.write_tomogram(folder, "t", tomogram, images, angles, "zxy", 10.0)
        rec, ali, tlt = (folder / f"t.{end}" for end in ("rec", "ali", "tlt"))
        tomogram = Tomogram.from_files(rec, "zxy", tilt_path=ali, angle_path=tlt)
        return examine(tomogram)


def mend(hypothesis, tomogram, images, angles):
    """Do to tomogram, images and angles what the remedy of a hypothesis says."""
    images = IMAGE_TRANSFORMS[hypothesis.image_transform](images)
    if hypothesis.axis == "x":
        tomogram, images = (np.rot90(one, 1, (1, 2)) for one in (tomogram, images))
    return tomogram, images, hypothesis.angles(angles)


def print_table(outcomes, cases):
    """Print what came out of each case at each noise, as a Markdown table."""
    print("| mistake |", " | ".join(f"noise {noise}" for noise in NOISES), "|")
    print("|:--|" + ":--|" * len(NOISES))
    for case in cases:
        cells = (
            ", ".join(
                f"{count} {kind}" for kind, count in outcomes[case, noise].items()
            )
            for noise in NOISES
        )
        print(f"| {case} |", " | ".join(cells), "|")


if __name__ == "__main__":
    run_script(main)
