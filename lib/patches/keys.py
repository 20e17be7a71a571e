"""Names of the entries in the cache: digests of all that decides what is in them.

Candidates are named by what finds them, patches by what cuts them; both by the files,
the device and the source code that makes them.
"""

from lib.artifacts.fingerprints import code_digest, digest_of, file_marks
from lib.candidates.chosen import SEARCHED
from lib.candidates.dog import margins

# What of the options finds candidates; the box only by the margins.
SEARCH = (
    "sigmas",
    "gauss",
    "compress",
    "bright",
    "dog_diameter",
    "dog_std_multiplier",
    "keep_gold",
)
# What shows candidates that are given, and what is measured of them.
SEEN = ("gauss", "compress", "keep_gold", "dog_diameter")
CUTS = ("mode", "box", "tilt_range", "flip_tilt_angles", "disjoint_tilts")
CUTS += ("mask_side", "mask_distance")
FINDING = (
    "axis_orders.py",
    "candidates/*.py",
    "geometry/projection.py",
    "inputs/axis_order.py",
    "inputs/mrc*.py",
    "inputs/tilt_angles.py",
    "inputs/tomogram.py",
    "modes.py",
    "patches/entries.py",
    "patches/making.py",
    "patches/tomogram_data.py",
)
CUTTING = (
    *FINDING,
    "inputs/mask.py",
    "patches/measures.py",
    "patches/options.py",
    "patches/views.py",
)


def candidates_folder(cache_dir, tomogram, options, device):
    """Return the folder of the candidates of a tomogram.

    Parameters
    ----------
    cache_dir : Path
    tomogram : lib.inputs.tomogram.Tomogram
    options : lib.patches.options.PatchOptions
    device : str or torch.device
        Where they are searched: a GPU rounds otherwise.
    """
    return cache_dir / f"candidates-{_search_key(tomogram, options, device)}"


def patches_folder(cache_dir, tomogram, *, options, device, offsets, chosen=SEARCHED):
    """Return the folder of the patches of a tomogram.

    Parameters
    ----------
    cache_dir, tomogram, options, device
        As of `candidates_folder`.
    offsets : tuple of lib.patches.views.PatchOffset
        At which patches are cut.
    chosen : lib.candidates.chosen.Chosen
        What the user decides of the candidates.
    """
    found = _given_key if chosen.is_given else _search_key
    files = (tomogram.tilt_path, tomogram.angle_path) if options.needs_tilts else ()
    if options.halves and any(offset.tilts != "all" for offset in offsets):
        files += tuple(half.path for half in tomogram.companions.halves or ())
    if tomogram.companions.mask_path is not None:
        files += (tomogram.companions.mask_path.path,)
    if options.in_view:
        files += (tomogram.rec_path,)
    key = digest_of(
        found(tomogram, options, device),
        *chosen.key(tomogram.name),
        file_marks(files),
        {name: getattr(options, name) for name in CUTS},
        [(offset.step, offset.tilts) for offset in offsets],
        code_digest(CUTTING),
    )
    return cache_dir / f"patches-{key}"


def _search_key(tomogram, options, device):
    depth, height, width = tomogram.shape
    searched = (-(-depth // 2) if options.compress else depth, height, width)
    file = tomogram.shown.rec_path if options.in_view else tomogram.rec_path
    return digest_of(
        tomogram.name,
        file_marks((file,)),
        tomogram.order,
        margins(searched, boundary=options.dog_boundary, box=options.box),
        {name: getattr(options, name) for name in SEARCH},
        # "cpu:0" is a device of torch, which filters otherwise than scipy.
        str(device) if str(device) == "cpu" else f"torch {str(device).split(':')[0]}",
        code_digest(FINDING),
    )


def _given_key(tomogram, options, device):
    """As `_search_key`, without what only the search depends on; nor on a device."""
    return digest_of(
        tomogram.name,
        file_marks((tomogram.rec_path,)),
        tomogram.order,
        {name: getattr(options, name) for name in SEEN},
        code_digest(FINDING),
    )
