"""The refusals a user can meet, and how a script says them.

Everything that can be wrong with a file, an option or an earlier artifact is
raised as a `UserError` at the boundary, in the user's words: which file or option,
what was found, what was expected, what to do. What the system says of a file of the
user's becomes one in `user_files`. Anything else is a bug of ours and keeps its
traceback; only what no program can bring about, such as a full disk, is told as a
refusal wherever it is met.
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

from lib.system.streams import make_streams_safe

EXIT_USER_ERROR = 2


class UserError(Exception):
    """Something the user gave, or has, cannot be used as it is."""


class OptionError(UserError):
    """A command-line option is missing, malformed or contradicts another."""


class InputError(UserError):
    """An image list, tomogram, tilt series or angle file cannot be used."""


class GeometryError(UserError):
    """Tomogram and tilt series do not show the same specimen."""


class ArtifactError(UserError):
    """An artifact is missing, unreadable, or belongs to another run."""


class ResourceError(UserError):
    """Disk, memory, a port or a lock is not to be had."""


class TrainingError(UserError):
    """Training cannot go on, or not from this checkpoint."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to stop, and it did so in order.

    Parameters
    ----------
    message : str
        What is kept, and how to go on.
    number : int
        Of the signal.
    """

    def __init__(self, message="", number=signal.SIGINT):
        super().__init__(message)
        self.number = number


def warn(message):
    """Tell the user, in one line on standard error, what they should look at."""
    print(f"warning: {message}", file=sys.stderr, flush=True)


warn_once = functools.cache(warn)  # for what several stages come across


@contextmanager
def user_files(path=None):
    """Turn what the system says of a file of the user's into a refusal.

    Only around what opens, makes, moves or removes such a file or folder, not around
    what is computed meanwhile: there the same error would be a bug of ours.

    Parameters
    ----------
    path : path-like, optional
        Named in the refusal; what the system names by default.

    Raises
    ------
    ResourceError
    """
    try:
        yield
    except OSError as error:
        raise ResourceError(_told(error, path)) from error


def run_script(main):
    """Run a script's ``main``; refusals become one message and exit code 2.

    One that a signal stopped exits as shells expect: with 128 and its number.

    Parameters
    ----------
    main : callable
        Takes no arguments.
    """
    script = Path(sys.argv[0]).name
    make_streams_safe()
    try:
        _check_folder()
        main()
    except UserError as refusal:
        _say(f"{script}: error: {refusal}")
        sys.exit(EXIT_USER_ERROR)
    except OSError as error:
        if errno_of(error) not in _OF_THE_DISK:
            raise
        _say(f"{script}: error: {_told(error)}")
        sys.exit(EXIT_USER_ERROR)
    except ImportError as error:
        if _package(error) in ("lib", "opts", "__main__"):  # a bug of ours
            raise
        _say(f"{script}: error: {_not_imported(error)}")
        sys.exit(EXIT_USER_ERROR)
    except UnicodeEncodeError as error:
        if not _is_of_the_locale(error):
            raise
        _say(f"{script}: error: {_not_encoded(error)}")
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt as stop:
        if str(stop):
            _say(f"{script}: {stop}")
        sys.exit(128 + getattr(stop, "number", signal.SIGINT))


_MIXING = ("PYTHONPATH", "LD_LIBRARY_PATH", "PYTHONHOME")
# Whatever a program does, it cannot bring these about.
_OF_THE_DISK = {
    errno.ENOSPC: "make room there, or name a larger disk",
    errno.EDQUOT: "make room there, or name another disk",
    errno.EFBIG: "the file system or a limit of this account forbids such a size",
    errno.EROFS: "name a place that can be written",
    errno.EIO: "the disk, or the way to it, is faulty",
    errno.ESTALE: "the file server has lost it; try again",
}
_OF_A_PLACE = {
    errno.EACCES: "give yourself the right, or name another place",
    errno.EPERM: "give yourself the right, or name another place",
    errno.ENOENT: "it was moved or removed meanwhile, or never there",
    errno.EEXIST: "a file is where a folder should be; move it, or name another place",
    errno.ENOTDIR: "a file is where a folder should be; move it, or name another place",
}


def _check_folder():
    """Refuse to start in a folder that is gone: libraries would die of it later."""
    try:
        Path.cwd()
    except OSError as error:
        raise ResourceError(
            f"the folder this was started in is gone ({error.strerror}): cd to another"
        ) from error


def _package(error):
    """Return the package that does not load, or in which a module does not."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    name = error.name or trace.tb_frame.f_globals.get("__name__", "")
    return name.split(".")[0]


def _not_imported(error):
    """Return one line on a package that does not load, as in a mixed environment."""
    mixing = [name for name in _MIXING if os.environ.get(name)]
    way_out = f"unset {' and '.join(mixing)}, or " if mixing else ""
    reason = (str(error).strip() or "no reason given").splitlines()[0]
    return (
        f"the package {_package(error)} cannot be imported ({reason}); {way_out}run "
        "make env, and make doctor to see more"
    )


def _is_of_the_locale(error):
    """Return whether a letter is missing in what this locale writes file names in."""
    names = codecs.lookup(sys.getfilesystemencoding()).name
    return names != "utf-8" and codecs.lookup(error.encoding).name == names


def _not_encoded(error):
    """Return one line on a file name that this locale has no letters for."""
    return (
        f"the file name {error.object!r} cannot be written in this locale "
        f"({error.encoding}): export PYTHONUTF8=1, or LC_ALL=C.UTF-8"
    )


def errno_of(error):
    """Return the number of an error; NumPy tells a full disk in words alone."""
    if error.errno is None and error.args:
        short = re.match(r"\d+ requested and \d+ written", str(error.args[0]))
        return errno.ENOSPC if short else None
    return error.errno


def _told(error, path=None):
    """Return one line of a system's error: the place, the fault, what to do."""
    place, number = path or error.filename, errno_of(error)
    advice = {**_OF_THE_DISK, **_OF_A_PLACE}.get(number)
    fault = error.strerror or (os.strerror(number) if number else str(error))
    said = f"{place}: {fault}" if place else fault
    return f"{said}; {advice}" if advice else said


def _say(line):
    print(line, file=sys.stderr, flush=True)
