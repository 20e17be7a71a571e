"""Records of runs, as far as a test needs them."""

from lib.run.config import take
from lib.run.options import RunOptions
from lib.run.record import HealthRecord, RunRecord, TomogramRecord


def make_record(tomograms=None, *, exp_id=None, health=None, **options):
    """Return a record that knows these options, by field, and these tomograms.

    Parameters
    ----------
    tomograms : dict of str to dict, optional
        Fields of `TomogramRecord` by name.
    exp_id : str, optional
    health : dict, optional
        Fields of `HealthRecord`.
    **options
        Fields of `RunOptions` and its parts.
    """
    known = None
    if tomograms is not None:
        known = {name: take(TomogramRecord, told) for name, told in tomograms.items()}
    return RunRecord(
        exp_id=exp_id,
        options=RunOptions.of(options),
        health=take(HealthRecord, health or {}),
        tomograms=known,
    )
