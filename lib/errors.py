"""Errors that a user can cause, and how a script reports them.

Whatever can be wrong with a file, an option or an earlier artifact is raised as a
`UserError` where it enters the program. The message names the file or option, what
was found, what was expected and what to do. `user_files` turns an error of the
operating system about a user's file into one. Any other exception is a bug of this
program and keeps its traceback, except for faults of the disk, such as no space left.
"""

import codecs
import errno
import functools
import os
import re
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

from lib.streams import make_streams_safe

EXIT_USER_ERROR = 2
NO_THREAD = "can't start new thread"  # as Python says it
NO_FURTHER = (
    "no further process or thread can be started here: is it a limit of this account "
    "(ulimit -u) or of the container? Raise it, or end what else runs there"
)


class UserError(Exception):
    """An option, a file or the machine cannot be used as it is."""


class OptionError(UserError):
    """A command-line option is missing, malformed or contradicts another."""


class InputError(UserError):
    """An image list, tomogram, tilt series or angle file cannot be used."""


class GeometryError(UserError):
    """Tomogram and tilt series do not show the same specimen."""


class ArtifactError(UserError):
    """An artifact is missing, unreadable, or belongs to another run."""


class ResourceError(UserError):
    """Disk space, memory, a port or a lock is not available."""


class TrainingError(UserError):
    """Training cannot continue, or not from this checkpoint."""


class Interrupted(KeyboardInterrupt):
    """A signal stopped the run, which saved its state first.

    Parameters
    ----------
    message : str
        What was saved, and how to continue.
    number : int
        Number of the signal.
    """

    def __init__(self, message="", number=signal.SIGINT):
        super().__init__(message)
        self.number = number


def warn(message):
    """Print a warning of one line to standard error."""
    print(f"warning: {message}", file=sys.stderr, flush=True)


warn_once = functools.cache(warn)  # several stages may find the same thing


def format_names(names, at_most=5):
    """Join names for a message; a long list is shortened."""
    more = len(names) - at_most
    shown = ", ".join(names[:at_most])
    return f"{shown} and {more} more" if more > 0 else shown


def format_shape(lengths):
    """Return lengths as people write them, such as ``315 x 100 x 326``."""
    return " x ".join(f"{length:.10g}" for length in lengths)


@contextmanager
def user_files(path=None):
    """Turn an OSError about a file of the user into a `ResourceError`.

    Use it only around calls that open, create, move or delete a file or folder. In
    any other code the same exception would be a bug.

    Parameters
    ----------
    path : path-like, optional
        Named in the message; by default the path in the exception.

    Raises
    ------
    ResourceError
    """
    try:
        yield
    except OSError as error:
        raise ResourceError(_describe(error, path)) from error


def run_script(main):
    """Run a script's ``main``; a `UserError` becomes one line and exit code 2.

    After a signal the exit code is 128 plus its number, as shells expect.

    Parameters
    ----------
    main : callable
        Takes no arguments.
    """
    script = Path(sys.argv[0]).name
    make_streams_safe()
    try:
        _check_current_folder()
        main()
    except KeyboardInterrupt as stop:
        if str(stop):
            _print_line(f"{script}: {stop}")
        sys.exit(128 + getattr(stop, "number", signal.SIGINT))
    except Exception as error:
        line = _explain(error)
        if line is None:
            raise
        _print_line(f"{script}: error: {line}")
        sys.exit(EXIT_USER_ERROR)


def _explain(error):
    """Describe in one line what a user can mend; None for a bug of ours."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and errno_of(error) in _DISK_ERRORS:
        return _describe(error)
    ours = ("lib", "opts", "__main__")
    if isinstance(error, ImportError) and _package(error) not in ours:
        return _describe_import_error(error)
    if isinstance(error, UnicodeEncodeError) and _is_caused_by_locale(error):
        return _describe_encoding_error(error)
    if isinstance(error, RuntimeError) and NO_THREAD in str(error):
        return NO_FURTHER
    return None


_PATH_VARIABLES = ("PYTHONPATH", "LD_LIBRARY_PATH", "PYTHONHOME")
# No bug of a program can cause these.
_DISK_ERRORS = {
    errno.ENOSPC: "make room there, or name a larger disk",
    errno.EDQUOT: "make room there, or name another disk",
    errno.EFBIG: "the file system or a limit of this account forbids such a size",
    errno.EROFS: "name a folder that can be written",
    errno.EIO: "the disk, or the way to it, is faulty",
    errno.ESTALE: "the file server no longer knows this file; try again",
}
_PATH_ERRORS = {
    errno.EACCES: "change its permissions, or name another folder",
    errno.EPERM: "change its permissions, or name another folder",
    errno.ENOENT: "it does not exist, or was moved or deleted meanwhile",
    errno.EEXIST: "a file is where a folder should be; move it or name another",
    errno.ENOTDIR: "a file is where a folder should be; move it or name another",
}


def _check_current_folder():
    """Raise if the current folder was deleted; libraries would fail later."""
    try:
        Path.cwd()
    except OSError as error:
        raise ResourceError(
            f"the current folder was deleted ({error.strerror}): cd to another one"
        ) from error


def _package(error):
    """Return the package that cannot be imported, or whose module cannot."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    name = error.name or trace.tb_frame.f_globals.get("__name__", "")
    return name.split(".")[0]


def _describe_import_error(error):
    """Describe in one line a package that cannot be imported."""
    variables = [name for name in _PATH_VARIABLES if os.environ.get(name)]
    remedy = f"unset {' and '.join(variables)}, or " if variables else ""
    reason = (str(error).strip() or "no reason given").splitlines()[0]
    return (
        f"the package {_package(error)} cannot be imported ({reason}); {remedy}run "
        "make env, and make doctor to see more"
    )


def _is_caused_by_locale(error):
    """Return whether the locale's encoding of file names lacks a character."""
    names = codecs.lookup(sys.getfilesystemencoding()).name
    return names != "utf-8" and codecs.lookup(error.encoding).name == names


def _describe_encoding_error(error):
    """Describe in one line a file name that this locale cannot encode."""
    return (
        f"the file name {error.object!r} cannot be written in this locale "
        f"({error.encoding}): export PYTHONUTF8=1, or LC_ALL=C.UTF-8"
    )


def errno_of(error):
    """Return the errno; NumPy reports a full disk without one."""
    if error.errno is None and error.args:
        short = re.match(r"\d+ requested and \d+ written", str(error.args[0]))
        return errno.ENOSPC if short else None
    return error.errno


def _describe(error, path=None):
    """Describe an OSError in one line: path, fault, what to do."""
    path, number = path or error.filename, errno_of(error)
    advice = {**_DISK_ERRORS, **_PATH_ERRORS}.get(number)
    fault = error.strerror or (os.strerror(number) if number else str(error))
    text = f"{path}: {fault}" if path else fault
    return f"{text}; {advice}" if advice else text


def _print_line(line):
    print(line, file=sys.stderr, flush=True)
