"""Folders as IMOD, AreTomo, Warp, RELION and nextPYP leave them, with tiny files."""

import numpy as np

from tests.mrc_files import write_mrc

SIZE = (6, 20, 24)  # (Z, Y, X) of tomograms
ANGLES = (-40, -20, 0, 20, 40)
IDENTITY = "  1.000  0.000  0.000  1.000  0.00  0.00\n"
ROTATED = "  0.087  0.996 -0.996  0.087  3.10 -2.40\n"


def volume(path, *, shape=SIZE, voxel_size=10.0):
    """Write a tomogram of random bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(len(str(path))).integers(0, 90, shape)
    write_mrc(path, values.astype(np.int8), voxel_size=voxel_size)
    return path


def series(path, *, shape=SIZE[1:], n=5, voxel_size=10.0):
    """Write a tilt series."""
    return volume(path, shape=(n, *shape), voxel_size=voxel_size)


def angles(path, values=ANGLES, *, column=""):
    """Write tilt angles, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{value:8.2f}{column}\n" for value in values))
    return path


def etomo(folder, name, *, old_style=False):
    """What etomo leaves: raw and aligned series, angles, tomograms, samples."""
    if old_style:
        endings = (".st", ".preali", ".ali", "_full.rec", ".rec")
    else:
        endings = (".mrc", "_preali.mrc", "_ali.mrc", "_full_rec.mrc", "_rec.mrc")
    raw, coarse, aligned, whole, trimmed = (folder / f"{name}{e}" for e in endings)
    series(raw, shape=(40, 48))
    series(coarse)
    series(aligned)
    volume(whole, shape=(SIZE[1], SIZE[0], SIZE[2]))
    volume(trimmed)
    for work in ("top", "mid", "bot", f"{name}_3dfind"):
        volume(folder / f"{work}{endings[-1]}")
    series(folder / f"{name}_3dfind{endings[2]}")
    angles(folder / f"{name}.rawtlt")
    angles(folder / f"{name}.tlt", [value + 0.5 for value in ANGLES])
    (folder / f"{name}.xf").write_text(ROTATED * len(ANGLES))
    (folder / f"{name}.mrc.mdoc").write_text("[ZValue = 0]\n")


def aretomo3(folder, name, *, transforms=None):
    """What AreTomo 3 leaves; with `transforms`, the folder of -OutImod 2 or 3 too."""
    series(folder / f"{name}.mrc")
    for half in ("EVN", "ODD"):
        series(folder / f"{name}_{half}.mrc")
        volume(folder / f"{name}_{half}_Vol.mrc")
    volume(folder / f"{name}_Vol.mrc")
    volume(folder / f"{name}_2ND_Vol.mrc", shape=(3, 10, 12), voxel_size=20.0)
    volume(folder / f"{name}_CTF.mrc", shape=(5, 16, 16))
    angles(folder / f"{name}_TLT.txt", column="     1")
    (folder / f"{name}.aln").write_text("# AreTomo Alignment\n")
    if transforms:
        for_imod = folder / f"{name}_Imod"
        series(for_imod / f"{name}_st.mrc")
        angles(for_imod / f"{name}_st.tlt")
        (for_imod / f"{name}_st.xf").write_text(transforms * len(ANGLES))


def warp(folder, name):
    """What WarpTools leaves in warp_tiltseries."""
    for kind in ("", "even", "odd", "deconv"):
        volume(folder / "reconstruction" / kind / f"{name}_10.00Apx.mrc")
    volume(folder / "matching" / f"{name}_10.00Apx_emd_15854_corr.mrc")
    volume(folder / "subtomo" / name / f"{name}_0000001_10.00A.mrc")
    series(folder / "tiltstack" / name / f"{name}.st")
    angles(folder / "tiltstack" / name / f"{name}.rawtlt")


def relion(project, names, *, split=False):
    """A job Reconstruct tomograms of RELION 5."""
    job = "Tomograms/job006"
    kinds = ("_half1", "_half2") if split else ("",)
    for name in names:
        for kind in kinds:
            volume(project / job / "tomograms" / f"rec_{name}{kind}.mrc")
    column = "_rlnTomoReconstructedTomogram"
    columns = [f"{column}{kind.replace('_h', 'H')}" for kind in kinds]
    head = "\n".join(["_rlnTomoName #1", "_rlnVoltage #2", *columns])
    rows = "".join(
        f"{name} 300.0 "
        + " ".join(f"{job}/tomograms/rec_{name}{kind}.mrc" for kind in kinds)
        + " \n"
        for name in names
    )
    star = project / job / "tomograms.star"
    star.write_text(f"\n# version 50001\n\ndata_global\n\nloop_ \n{head}\n{rows}\n")
    return star


def relion_denoised(project, names):
    """A job Denoise tomograms of RELION 5, after one that wrote halves too."""
    job = "Denoise/job009"
    for name in names:
        volume(project / job / "tomograms" / f"rec_{name}.mrc")
    column = "_rlnTomoReconstructedTomogramDenoised"
    rows = "".join(f"{name} {job}/tomograms/rec_{name}.mrc\n" for name in names)
    head = f"data_global\n\nloop_\n_rlnTomoName #1\n{column} #2\n"
    (project / job / "tomograms.star").write_text(head + rows)


def nextpyp(project, name):
    """What nextPYP keeps of a tilt series."""
    series(project / "mrc" / f"{name}.mrc", shape=(40, 48))
    series(project / "mrc" / f"{name}_bin.ali")
    volume(project / "mrc" / f"{name}.rec")
    for kind in ("half1", "half2", "den", "seg"):
        volume(project / "mrc" / f"{name}_{kind}.rec")
    angles(project / "ali" / f"{name}.tlt")
