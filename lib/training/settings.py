"""What a run is trained with: as given, as the recipe says, or as it was resumed."""

from dataclasses import replace
from typing import NamedTuple

from lib.patches.options import PatchOptions
from lib.run.config import given_values
from lib.run.options import RunOptions
from lib.training.checkpoints import Checkpoint
from lib.training.recipes import Recipe, find_recipe
from lib.training.resume import load_run, resumed_options


class Settings(NamedTuple):
    """What a run is trained with.

    Attributes
    ----------
    run : lib.run.options.RunOptions
    recipe : lib.training.recipes.Recipe
        With the schedule of the run.
    patching : lib.patches.options.PatchOptions
    checkpoint : lib.training.checkpoints.Checkpoint or None
        That is resumed.
    """

    run: RunOptions
    recipe: Recipe
    patching: PatchOptions
    checkpoint: Checkpoint | None


def find_settings(chosen, typed, *, mode, resumed=None, load_model=None):
    """Return what a run is trained with.

    Parameters
    ----------
    chosen, typed : lib.run.options.RunOptions
        Every option with its default, and those that were given; see
        `lib.run.given.run_options`.
    mode : str
        Key of `lib.modes.MODES`.
    resumed : Path or None
        Checkpoint that a run goes on from: its options hold.
    load_model : Path or None
        Checkpoint whose weights a new run starts from.

    Returns
    -------
    Settings
    """
    run, checkpoint = chosen, None
    if resumed is not None:
        checkpoint = load_run(resumed)
        run = resumed_options(checkpoint.record, resumed, chosen=run, typed=typed)
    training = run.training
    recipe = find_recipe(training.recipe).with_schedule(
        cosine=training.cosine, steps=training.steps, warm=training.warm
    )
    wanted = {**recipe.patching[mode], **given_values(run.patches)}
    if run.model.pretrained_model is None:
        start = "none" if load_model else recipe.start
        run = replace(run, model=replace(run.model, pretrained_model=start))
    return Settings(run, recipe, PatchOptions(**wanted), checkpoint)
