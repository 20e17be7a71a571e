"""Tomograms shared out among processes, and among jobs with the same folder."""

import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context

from tqdm import tqdm

from lib.artifacts import Watch

FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0  # seconds between two looks at others' claims


def share_out(missing, prepare, *, cache, workers):
    """Prepare tomograms; those that other jobs are at are left to them.

    Returns when all are prepared, by whomever. What another job gives up, because it
    failed or was killed, is taken over.

    Parameters
    ----------
    missing : list of tuple
        Tomogram and folder of its entry.
    prepare : callable
        Takes both; returns whether it is prepared, False when another is at it. Can
        be sent to another process.
    cache : Path
        Where the claims are.
    workers : int
        Processes; none but this one for 0 or 1.
    """
    watch = Watch(cache)
    bar = tqdm(total=len(missing), desc="tomograms", unit="tomogram", disable=None)
    ready, left, pause, told = missing, [], FIRST_WAIT, False
    with bar, _processes(workers) as start:
        while ready or left:
            results = [(task, start(prepare, *task)) for task in ready]
            for task, result in results:
                if result():
                    bar.update()
                    pause = FIRST_WAIT
                else:
                    left.append(task)
            if left:
                if pause == LONGEST_WAIT and not told:
                    print(f"waiting for {len(left)} tomograms that others prepare")
                    told = True
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_WAIT)
            free = set(watch.free(folder for _, folder in left))
            ready = [task for task in left if task[1] in free]
            left = [task for task in left if task[1] not in free]


@contextmanager
def _processes(workers):
    """Yield what starts a call, and returns what waits for its result."""
    if workers <= 1:
        yield partial
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            yield lambda *call: pool.submit(*call).result
        except BaseException:  # Ctrl-C too: what is not begun stays undone
            pool.shutdown(wait=False, cancel_futures=True)
            raise
