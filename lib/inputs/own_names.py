"""Names that differ, for tomograms that are called alike in several folders."""

from dataclasses import replace

LONGEST_NAME = 150  # characters, so that suffixes fit into a file name


def with_own_names(twins):
    """Return all tomograms with names, sorted; a folder tells those of one name apart.

    Parameters
    ----------
    twins : dict of str to list of lib.inputs.found.FoundTomogram
        By the name of their series.
    """
    taken, named = {name for name, same in twins.items() if len(same) == 1}, []
    for name, same in twins.items():
        folders = [one.path.parent.parts[1:] for one in same]
        for tomogram in same:
            own = name
            if len(same) > 1:
                parts = _telling(tomogram.path.parent.parts[1:], folders)
                own = _free("_".join([*parts, name])[-LONGEST_NAME:], taken)
                taken.add(own)
            named.append(replace(tomogram, name=own))
    return sorted(named, key=lambda one: one.name)


def _free(name, taken):
    """Return a name, or the name with the first number that is not taken."""
    number, own = 1, name
    while own in taken:
        number += 1
        own = f"{name}_{number}"
    return own


def _telling(folder, folders):
    """Return the nearest folder whose name tells some tomograms apart, or all of them.

    Parameters
    ----------
    folder : tuple of str
        Parts of the folder of a tomogram.
    folders : list of tuple of str
        Those of all of its name.
    """
    for up in range(1, max(map(len, folders)) + 1):
        if len({parts[-up:][:1] for parts in folders}) == len(folders):
            return folder[-up:][:1]
    return folder
