"""From the files of one tomogram to what shows its candidates."""

from dataclasses import replace

from lib.candidates.masking import find_masked
from lib.errors import InputError
from lib.patches.preprocess import preprocess_tilt_images, preprocess_tomogram
from lib.patches.views import TomogramData


def load_tomogram(tomogram, options, *, threads=None):
    """Read and preprocess what shows the candidates of one tomogram.

    Parameters
    ----------
    tomogram : lib.inputs.tomogram.Tomogram
    options : PatchOptions
    threads : int, optional
        By default those of `lib.system.machine.usable_threads`.

    Returns
    -------
    TomogramData
    """
    raw = tomogram.read_voxels(compress=options.compress)
    masked = find_masked(raw, keep_gold=options.keep_gold, threads=threads)
    data = preprocess_tomogram(raw, options.gauss, masked=masked, threads=threads)
    del raw
    depth, z_sign = tomogram.shape[0], tomogram.z_sign
    if not options.needs_tilts:
        return TomogramData(data, None, None, z_sign, depth, masked)
    series = tomogram.read_tilts(
        max_tilt=options.tilt_range, flip=options.flip_tilt_angles
    )
    if options.disjoint_tilts and len(series.angles) < 2:
        raise InputError(
            f"{tomogram.tilt_path} has one image within +-{options.tilt_range:g} "
            "degrees, and the default --recipe pairs images of different tilts; raise "
            "--tilt_range"
        )
    scene = TomogramData(data, None, series.angles, z_sign, depth, masked)
    hidden = _find_in_images(series.images, scene, options.keep_gold)
    images = preprocess_tilt_images(series.images, options.gauss, masked=hidden)
    return replace(scene, tilts=images)


def _find_in_images(images, scene, keep_gold):
    """Return what is masked in each image: also where the gold of the volume falls."""
    shadows = [None] * len(images)
    if scene.masked is not None:
        shadows = scene.project(scene.masked.cores)
    return [
        find_masked(image[None], keep_gold=keep_gold, shadows=falls, threads=1)
        for image, falls in zip(images, shadows, strict=True)
    ]
