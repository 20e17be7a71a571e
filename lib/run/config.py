"""Fields of dataclasses that are options, and ``opts.yaml``, which repeats a run.

Default, limits (see `lib.run.limits`) and help of an option are stated once, and the
command line is made from them. Nothing heavy is imported, so that ``--help`` answers at
once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from lib import __version__
from lib.errors import OptionError, user_files

_PLAIN = bool | int | float | None | list  # the lists are of texts
# These say what a command does with an existing experiment, not what its run is.
ONCE = ("resume", "overwrite", "dry_run", "check_geometry", "config")


@dataclass(frozen=True)
class About:
    """What the command line needs to know of a field.

    Attributes
    ----------
    help : str
    name : str or None
        Option on the command line; that of the field by default.
    limits : a class of `lib.run.limits` or tuple of str, optional
        What the value may be; of switches, flags, paths and free texts none.
    otherwise : str
        What decides an option that is not given, where that is not the default of
        the field.
    kind : str
        What it takes where there are no limits: a free text by default; a ``path``,
        ``file`` (the same, kept as text), ``plain path`` (not looked for elsewhere),
        ``new list`` or ``checkpoint``; ``names`` with commas between. A ``flag`` is
        given or not; a ``switch`` can be taken back with ``--no-``.
    count : int or str, optional
        How many words it takes: a number, or ``+`` for one or more.
    repeats : str
        What an option does that is given again: by default it replaces the first;
        ``each`` collects one word of each, ``all`` all words.
    metavar : str, or tuple of str of each word, optional
        Name of the value in the help.
    required : bool
    dest : str or None
        Name of its value, where that is not the option's.
    alias : str or None
        Other spelling of the option.
    """

    help: str
    name: str | None = None
    limits: object = None
    otherwise: str = ""
    kind: str = ""
    count: int | str | None = None
    repeats: str = ""
    metavar: str | tuple | None = None
    required: bool = False
    dest: str | None = None
    alias: str | None = None


def option(default, help, **about):
    """Return a dataclass field with what the command line needs to know of it."""
    return field(default=default, metadata={"about": About(help, **about)})


def options_of(cls):
    """Return name on the command line and field of each option of a dataclass."""
    abouts = ((f, f.metadata.get("about")) for f in fields(cls))
    return {about.name or f.name: f for f, about in abouts if about is not None}


def given_values(options):
    """Return the values of a dataclass that are not None, by field."""
    values = {f.name: getattr(options, f.name) for f in fields(options)}
    return {name: value for name, value in values.items() if value is not None}


def take(cls, values):
    """Return a dataclass from the values that a mapping holds of it, else None."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{values!r} is no set of keys and values")
    return cls(**{f.name: values.get(f.name) for f in fields(cls)})


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
