"""The refusals a user can meet, and how a script says them.

Everything that can be wrong with a file, an option or an earlier artifact is
raised as a `Refusal` at the boundary, in the user's words: which file or option,
what was found, what was expected, what to do. Anything else is a bug of ours and
keeps its traceback.
"""

import errno
import functools
import signal
import sys
from pathlib import Path

EXIT_REFUSED = 2


class Refusal(Exception):
    """Something the user gave, or has, cannot be used as it is."""


class OptionError(Refusal):
    """A command-line option is missing, malformed or contradicts another."""


class InputError(Refusal):
    """An image list, tomogram, tilt series or angle file cannot be used."""


class GeometryError(Refusal):
    """Tomogram and tilt series do not show the same specimen."""


class ArtifactError(Refusal):
    """An artifact is missing, unreadable, or belongs to another run."""


class ResourceError(Refusal):
    """Disk, memory, a port or a lock is not to be had."""


class TrainingError(Refusal):
    """Training cannot go on: the loss is not finite, or it was interrupted."""


def warn(message):
    """Tell the user, in one line on standard error, what they should look at."""
    print(f"warning: {message}", file=sys.stderr, flush=True)


warn_once = functools.cache(warn)  # for what several stages come across


def run_script(main):
    """Run a script's ``main``; refusals become one message and exit code 2.

    Parameters
    ----------
    main : callable
        Takes no arguments.
    """
    script = Path(sys.argv[0]).name
    try:
        main()
    except Refusal as refusal:
        sys.exit(_say(script, refusal))
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        place = f"{error.filename}: " if error.filename else ""
        sys.exit(_say(script, f"{place}{error.strerror}; nothing was half-written"))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


_OF_THE_DISK = {
    errno.ENOENT,  # inputs are looked for before: this one vanished meanwhile
    errno.ESTALE,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EFBIG,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EIO,
}


def _say(script, message):
    print(f"{script}: error: {message}", file=sys.stderr, flush=True)
    return EXIT_REFUSED
