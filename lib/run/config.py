"""``opts.yaml``: the options of a run in a file that repeats it."""

from lib import __version__
from lib.errors import OptionError, user_files

_PLAIN = bool | int | float | None | list  # the lists are of texts
# These say what a command does with an existing experiment, not what its run is.
ONCE = ("resume", "overwrite", "dry_run", "check_geometry", "config")


def write_config(stream, options):
    """Write the options of a run.

    Parameters
    ----------
    stream : text file
    options : dict
        By name on the command line, with ``mode``; those of `ONCE` are left out.
    """
    import yaml

    print(f"# The options of a run, written by version {__version__}.", file=stream)
    print(
        f"# Repeat it: python simsiam_main.py {options['mode']} --config THIS_FILE "
        "--exp_id NEW_NAME",
        file=stream,
    )
    plain = {
        key: value if isinstance(value, _PLAIN) else str(value)
        for key, value in options.items()
        if key not in ONCE
    }
    yaml.safe_dump(plain, stream, sort_keys=False, allow_unicode=True)


def read_config(path, several=()):
    """Return the options in a file, by name on the command line.

    Parameters
    ----------
    path : Path
    several : sequence of str
        Options that take one word or more.

    Returns
    -------
    dict of str to bool, str or list of str
        Values as they are typed, and switches; lists of those in `several`. Those that
        are null are left out.

    Raises
    ------
    OptionError
        When the file cannot be read, naming the key whose value cannot be typed.
    """
    import yaml

    with user_files(path):
        packed = path.read_bytes()
    try:
        content = yaml.safe_load(packed) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise OptionError(f"--config {path} is not YAML: {reason}") from error
    if not isinstance(content, dict):
        raise OptionError(
            f"--config {path} must hold a line for each option, such as bbox: 36"
        )
    for key in ONCE:
        if key in content:
            raise OptionError(
                f"--config {path}: {key} belongs on the command line, not in a file"
            )
    return {
        str(key): _as_typed(path, key, value, key in several)
        for key, value in content.items()
        if value is not None
    }


def _as_typed(path, key, value, is_list=False):
    if isinstance(value, bool):
        return value
    parts = value if isinstance(value, list) else [value]
    if all(isinstance(v, str | int | float) and not isinstance(v, bool) for v in parts):
        return list(map(str, parts)) if is_list else ",".join(map(str, parts))
    raise OptionError(
        f"--config {path}: {key} holds a {type(value).__name__}, expected a number, a "
        "text (in quotes where it looks like a date), true or false, or a list"
    )
