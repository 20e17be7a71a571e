"""The training loop: epochs of batches, loss and step; then evaluation."""

import time

import torch
from tqdm import tqdm

from lib.errors import ResourceError, TrainingError, warn
from lib.system.runtime import autocast, signals_deferred
from lib.training.checkpoints import restore_weights
from lib.training.compute import activation_bytes, make_optimizer, prepare_network
from lib.training.encoding import PlainViews, recalibrate
from lib.training.loader import PairLoader
from lib.training.losses import training_loss
from lib.training.metrics import Monitor, check_health, collapsed, sample_rows
from lib.training.recipes import learning_rate

RECALIBRATE_ON = 2048  # candidates


class Trainer:
    """Trains one model on one patch store.

    Parameters
    ----------
    model : SimSiam
    store : lib.patches.store.PatchStore
    recipe : lib.training.recipes.Recipe
    schedule : lib.training.recipes.Schedule
    writer : lib.training.checkpoint_writer.CheckpointWriter
        Its record holds the seed and the normalization.
    compute : lib.training.compute.Compute

    Attributes
    ----------
    model : SimSiam
        On the device.
    network : callable
        The model as a training step calls it.
    step_bytes : int
        Estimated activations of a step [bytes].
    health : lib.training.metrics.Health or None
        Of the last health check.
    """

    def __init__(self, model, store, recipe, schedule, writer, compute):
        self.recipe, self.schedule = recipe, schedule
        self.store, self.writer = store, writer
        self.compute, self.ranks = compute, compute.ranks
        self.seed = writer.record.options.seed
        self.health = None
        self.last_lap = time.monotonic()
        self.step_bytes = activation_bytes(
            model.depth,
            batch=schedule.batch_size // compute.ranks.world,
            views=store.options.views,
            box=store.options.box,
            precision=compute.precision,
        )
        self.model, self.network = prepare_network(model, compute, self.step_bytes)
        self.optimizer = make_optimizer(self.model, recipe, schedule.lr)
        normalization = vars(writer.record.normalization)
        self.loader = PairLoader(
            store,
            recipe.augmentations[store.options.mode],
            batch_size=schedule.batch_size,
            seed=self.seed,
            device=compute.device,
            ranks=compute.ranks,
            **normalization,
        )
        self.views = PlainViews(
            store, device=compute.device, source=self.loader.source, **normalization
        )

    @property
    def state(self):
        """Progress of the run."""
        return self.writer.state

    def resume(self):
        """Restore the state of model_last.pth."""
        checkpoint, path = self.writer.restore()
        restore_weights(self.model, checkpoint.state_dict, path)
        self.optimizer.load_state_dict(checkpoint.optimizer)

    def run(self, after_epoch=None):
        """Train to the last epoch.

        Parameters
        ----------
        after_epoch : callable, optional
            Called with the log entry of each epoch, after its checkpoint; an exception
            from it ends the run, as Ctrl-C does.

        Returns
        -------
        lib.training.metrics.Health
            Of the final model.

        Raises
        ------
        TrainingError
            When the loss is not finite. The last good checkpoint is written, as it is
            after KeyboardInterrupt.
        """
        steps = self.loader.steps
        self.last_lap = time.monotonic()
        bar = tqdm(
            total=steps * self.schedule.epochs,
            initial=steps * self.state.epoch,
            unit="step",
            desc="training",
            mininterval=1,  # every update waits for the GPU, see `_show`
            disable=None if self.ranks.is_main else True,
        )
        try:
            while self.state.epoch < self.schedule.epochs:
                entry = self._epoch(self.state.epoch + 1, bar)
                self._end_epoch(entry)
                if after_epoch is not None:
                    after_epoch(entry)
        except torch.OutOfMemoryError as error:
            raise ResourceError(
                f"{self.compute.device} has too little memory for --batch_size "
                f"{self.schedule.batch_size}; give a smaller one, or a smaller --bbox"
            ) from error
        finally:
            with signals_deferred():
                self.writer.write()
            bar.close()
        return self.health or self._check_health()

    def _epoch(self, number, bar):
        """Train one epoch; return its log entry."""
        self.model.train()
        monitor = Monitor(self.loader.steps, self.compute.device)
        for step, (views1, views2, rows) in enumerate(self.loader.epoch(number)):
            progress = number - 1 + step / self.loader.steps
            rate = learning_rate(self.schedule.lr, progress, self.recipe, self.schedule)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            with autocast(self.compute.device, self.compute.precision):
                p1, p2, z1, z2 = self.network(views1, views2)
            loss, cosine = training_loss(
                p1,
                p2,
                z1,
                z2,
                loss=self.recipe.loss,
                temperature=self.recipe.temperature,
                simsiam_weight=self.recipe.simsiam_weight,
            )
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            monitor.add(step, loss.detach(), cosine.detach(), p1.detach(), rows)
            self._show(bar, monitor, step)
        self._require_finite_loss(number, monitor)
        return {
            "epoch": number,
            **monitor.summary(self.ranks),
            "lr": rate,
            "time": self._lap(),
        }

    def _lap(self):
        """Return the seconds since the previous call.

        Recalibration and checkpoint of an epoch count for the next one, so that the
        times of all epochs add up to that of the run.
        """
        before, self.last_lap = self.last_lap, time.monotonic()
        return self.last_lap - before

    def _show(self, bar, monitor, step):
        """Advance the bar; fetch the loss only when the bar is drawn."""
        if bar.update():
            bar.set_postfix(loss=f"{monitor.losses[step, 0].item():.4f}", refresh=False)

    def _require_finite_loss(self, number, monitor):
        bad = ~monitor.losses.isfinite().all(1)
        if not self.ranks.mean(bad.double()).any():  # on any rank: all stop together
            return
        bad = bad.nonzero().flatten().tolist() or [0]
        names = sorted(set(self.store.names[monitor.rows[bad[0]]]))
        raise TrainingError(
            f"the loss is not finite in epoch {number}, step {bad[0] + 1}, with "
            f"patches of {', '.join(names[:5])}; lower --lr, or try --precision fp32. "
            f"The newest good model is of epoch {self.state.epoch}: go on from it with "
            "--resume"
        )

    def _end_epoch(self, entry):
        """Update the state after an epoch; evaluate and write checkpoints when due."""
        state = self.state
        state.epoch = entry["epoch"]
        state.history = [*state.history, entry]
        dim = self.model.fc.out_features
        alive = not collapsed(entry["output_std"], entry["effective_rank"], dim)
        best = alive and entry["loss"] < state.best_loss
        last = state.epoch == self.schedule.epochs
        due = last or state.epoch % self.schedule.keep_every == 0
        if best:
            state.best_loss = entry["loss"]
        self._recalibrate()
        state.latest = self.writer.snapshot(self.model, self.optimizer)
        if best:
            state.best = state.latest
        if due:
            self._evaluate(last)
        if due or self.writer.is_due:
            self.writer.write()

    def _evaluate(self, last):
        """Check the health of the model; a collapsed run is not stopped."""
        self.health = self._check_health()
        self.writer.record_health(self.health)
        if self.health.verdict == "collapsed" and not last and self.ranks.is_main:
            warn(
                f"after epoch {self.state.epoch} {self.health.message}; stop with "
                "Ctrl-C, and try a lower --lr or --recipe contrastive"
            )
        if self.schedule.keep_all:
            self.writer.save_epoch()

    def _recalibrate(self):
        """Recompute the batch-norm statistics on a sample of the candidates."""
        count = len(self.store)
        last = self.state.epoch == self.schedule.epochs
        due = last or self.state.epoch % self.schedule.keep_every == 0
        limit = RECALIBRATE_ON if due else min(max(128, count // 8), 1024)
        rows = sample_rows(count, limit, self.seed)
        recalibrate(
            self.model,
            self.views(rows),
            device=self.compute.device,
            precision=self.compute.precision,
        )

    def _check_health(self):
        return check_health(
            self.model,
            self.views,
            len(self.store),
            seed=self.seed,
            device=self.compute.device,
            precision=self.compute.precision,
        )
