"""How many processes and threads this process can start.

Linux counts threads as processes: for the account (ulimit -u), for the container and
for the machine. What others run counts too, so only a trial tells what room is left.
"""

import functools
import multiprocessing
import resource
import threading

from lib.errors import warn_once
from lib.system.machine import cores_to_run_on, usable_threads

# Of a pool: its manager, its queue, the bar's monitor and the process for its locks.
POOL_THREADS = 4
# Of a worker: its first one, that of its claim, and one that ends.
WORKER_THREADS = 3
BLAS_COPIES = 2  # NumPy and SciPy each bring their own, with a thread on each core
LEAST_THREADS = 3  # besides those that compute: as of a worker
MOST_TRIED = 256  # a trial of thousands takes seconds
SMALL_STACK = 2**20  # bytes; libraries keep data of each thread there


@functools.cache
def has_process_pools():
    """Return whether this process can create a pool of worker processes.

    Pools need locks, which Linux keeps in /dev/shm; in some containers it does not
    exist or is not writable.
    """
    try:
        multiprocessing.get_context("fork").Lock()
    except (OSError, ImportError):
        return False
    return True


def startable_processes(wanted):
    """Return how many worker processes can be started, at most those wanted.

    Fewer than wanted are said in one line where a limit is the reason.

    Parameters
    ----------
    wanted : int
    """
    if wanted < 1 or not has_process_pools():
        return 0
    each = WORKER_THREADS + BLAS_COPIES * (cores_to_run_on() - 1)
    others = POOL_THREADS + usable_threads()
    room = startable_threads(others + wanted * each)
    count = min(wanted, max(0, room - others) // each)
    if count < wanted:
        warn_once(
            f"there is room for {room} further processes and threads here (ulimit -u, "
            "or a limit of the container): the work is done by "
            f"{count if count > 1 else 'one process'}, not {wanted}"
        )
    return count


def threads_needed():
    """Return the number of threads without which no command can work."""
    return LEAST_THREADS + usable_threads()


def startable_threads(most):
    """Return how many threads can be started now, at most so many.

    Beyond `MOST_TRIED` the limit of the account is believed.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if 0 <= limit < most:
        most = limit
    ended, started = threading.Event(), []
    before = threading.stack_size(SMALL_STACK)
    try:
        for _ in range(min(most, MOST_TRIED)):
            thread = threading.Thread(target=ended.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:  # can't start new thread
        pass
    finally:
        threading.stack_size(before)
        ended.set()
        for thread in started:
            thread.join()
    return most if len(started) == MOST_TRIED else len(started)
