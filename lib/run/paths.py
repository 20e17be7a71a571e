"""Paths as they are typed: from the folder of the command, or from the project's."""

from pathlib import Path

from lib.run.limits import UnfitError


def find_path(text, project):
    """Return a path as it is, or from the project folder when only that has it.

    Parameters
    ----------
    text : str
    project : Path

    Raises
    ------
    UnfitError
        When the path cannot be looked at.
    """
    path = as_path(_expand(text))
    in_project = project / path
    return in_project if not path.exists() and in_project.exists() else path


def path_of_list(text, project):
    """Return the path of a new list: a name alone, or data/NAME, is in the project."""
    path = as_path(_expand(text))
    if "/" not in text:
        return project / "data" / path
    in_project = project / path
    here = path.parent.exists() or not in_project.parent.exists()
    return path if here else in_project


def as_path(text):
    """Return a path that may be looked at, whether or not something is there."""
    path = Path(text)
    try:
        path.exists()
    except (OSError, ValueError) as error:  # forbidden, too long, or with a NUL
        reason = getattr(error, "strerror", None) or error
        raise UnfitError(text, f"a path: {reason}") from error
    return path


def _expand(text):
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # ~ of a user that this machine does not know
        raise UnfitError(text, "a path: write the home folder out") from error
