"""The epoch: batches, loss, step; then evaluation and checkpoints."""

import time

import torch
from tqdm import tqdm

from lib.errors import ResourceError, TrainingError, warn
from lib.system.ranks import ALONE
from lib.system.runtime import autocast, signals_deferred
from lib.training.checkpoint_writer import CheckpointWriter
from lib.training.checkpoints import restore_weights
from lib.training.distributed import shared_over_ranks, synchronize_batch_norm
from lib.training.encoding import PlainViews, recalibrate
from lib.training.loader import PairLoader
from lib.training.losses import training_loss
from lib.training.metrics import Monitor, check_health, collapsed, sample_rows
from lib.training.recipes import learning_rate

RECALIBRATE_ON = 2048  # candidates
KEEP_ALL_BELOW = 3e9  # bytes a step may keep in the memory of the host


class Trainer:
    """Trains one model on one patch store.

    Parameters
    ----------
    model : SimSiam
    store : lib.patches.store.PatchStore
    recipe : lib.training.recipes.Recipe
    schedule : Schedule
    experiment : lib.artifacts.ExperimentDir
    memory : dict
        What the checkpoint remembers of the run: ``options``, ``normalization``
        with ``mean`` and ``std``, ``seed``.
    device : torch.device
    precision : {"fp32", "bf16"}
        Of the network; see `lib.system.runtime.choose_precision`.
    ranks : lib.system.ranks.Ranks
    compiled : bool
        Compile the network.
    """

    def __init__(
        self,
        model,
        store,
        recipe,
        schedule,
        experiment,
        memory,
        *,
        device,
        precision="fp32",
        ranks=ALONE,
        compiled=False,
    ):
        self.recipe, self.schedule = recipe, schedule
        self.store, self.device, self.precision = store, device, precision
        self.ranks, self.seed = ranks, memory["seed"]
        self.record = CheckpointWriter(experiment, memory, ranks=ranks)
        self.verdict = None
        self.lap_at = time.monotonic()
        model = model.to(device, memory_format=torch.channels_last)
        self.step_bytes = model.activation_bytes(
            schedule.batch_size // ranks.world, store.options.views, store.options.box
        )
        on_cpu = device.type == "cpu" and not compiled
        model.recompute = on_cpu and self.step_bytes > KEEP_ALL_BELOW
        if ranks.world > 1:
            model = synchronize_batch_norm(model, device)
        self.model = model
        self.network = _wrapped(model, device, ranks, compiled)
        self.optimizer = _optimizer(model, recipe, schedule.lr)
        normalization = memory["normalization"]
        self.feed = PairLoader(
            store,
            recipe.augmentations[store.options.mode],
            batch_size=schedule.batch_size,
            seed=self.seed,
            device=device,
            ranks=ranks,
            **normalization,
        )
        self.views = PlainViews(
            store, device=device, source=self.feed.source, **normalization
        )

    @property
    def state(self):
        """Where the run stands."""
        return self.record.state

    def resume(self):
        """Go on from model_last.pth."""
        content, path = self.record.restore()
        restore_weights(self.model, content["state_dict"], path)
        self.optimizer.load_state_dict(content["optimizer"])

    def run(self, after_epoch=None):
        """Train to the last epoch.

        Parameters
        ----------
        after_epoch : callable, optional
            Called with the line of the log of each epoch, once its checkpoint is due
            or written; an exception from it ends the run as Ctrl-C does.

        Returns
        -------
        lib.training.metrics.Health
            Of the final model.

        Raises
        ------
        TrainingError
            When the loss is not finite. The newest good checkpoint is on disk then,
            as it is after KeyboardInterrupt.
        """
        steps = self.feed.steps
        self.lap_at = time.monotonic()
        bar = tqdm(
            total=steps * self.schedule.epochs,
            initial=steps * self.state.epoch,
            unit="step",
            desc="training",
            mininterval=1,  # each drawing waits for the GPU, see `_show`
            disable=None if self.ranks.is_main else True,
        )
        try:
            while self.state.epoch < self.schedule.epochs:
                entry = self._epoch(self.state.epoch + 1, bar)
                self._finish(entry)
                if after_epoch is not None:
                    after_epoch(entry)
        except torch.OutOfMemoryError as error:
            raise ResourceError(
                f"{self.device} has too little memory for --batch_size "
                f"{self.schedule.batch_size}; give a smaller one, or a smaller --bbox"
            ) from error
        finally:
            with signals_deferred():
                self.record.write()
            bar.close()
        return self.verdict or self._health()

    def _epoch(self, number, bar):
        """Train one epoch; return its line of the log."""
        self.model.train()
        monitor = Monitor(self.feed.steps, self.device)
        for step, (views1, views2, rows) in enumerate(self.feed.epoch(number)):
            progress = number - 1 + step / self.feed.steps
            rate = learning_rate(self.schedule.lr, progress, self.recipe, self.schedule)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            with autocast(self.device, self.precision):
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
        self._refuse_nan(number, monitor)
        return {
            "epoch": number,
            **monitor.summary(self.ranks),
            "lr": rate,
            "time": self._lap(),
        }

    def _lap(self):
        """Return the seconds since the last lap; that of an epoch holds all its work.

        What follows the steps of an epoch (recalibration, checkpoint) counts for the
        next one, so that the times of a run add up.
        """
        before, self.lap_at = self.lap_at, time.monotonic()
        return self.lap_at - before

    def _show(self, bar, monitor, step):
        """Advance the bar; the loss is fetched only when the bar is drawn."""
        if bar.update():
            bar.set_postfix(loss=f"{monitor.losses[step, 0].item():.4f}", refresh=False)

    def _refuse_nan(self, number, monitor):
        bad = ~monitor.losses.isfinite().all(1)
        if not self.ranks.mean(bad.double()).any():  # of any rank: all stop together
            return
        bad = bad.nonzero().flatten().tolist() or [0]
        names = sorted(set(self.store.names[monitor.rows[bad[0]]]))
        raise TrainingError(
            f"the loss is not finite in epoch {number}, step {bad[0] + 1}, with "
            f"patches of {', '.join(names[:5])}; lower --lr, or try --precision fp32. "
            f"The newest good model is of epoch {self.state.epoch}: go on from it with "
            "--resume"
        )

    def _finish(self, entry):
        """Take stock after an epoch; write what is due."""
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
        state.newest = self.record.snapshot(self.model, self.optimizer)
        if best:
            state.best = state.newest
        if due:
            self._take_stock(last)
        if due or self.record.is_due:
            self.record.write()

    def _take_stock(self, last):
        """Judge the model; the run goes on also when it has collapsed."""
        self.verdict = self._health()
        self.state.health = self.verdict.as_dict()
        self.state.newest["health"] = self.state.health
        if self.verdict.verdict == "collapsed" and not last and self.ranks.is_main:
            warn(
                f"after epoch {self.state.epoch} {self.verdict.message}; stop with "
                "Ctrl-C, and try a lower --lr or --recipe contrastive"
            )
        if self.schedule.keep_all:
            self.record.keep()

    def _recalibrate(self):
        """Settle the batch-norm statistics; a small part of the epoch's work."""
        count = len(self.store)
        last = self.state.epoch == self.schedule.epochs
        due = last or self.state.epoch % self.schedule.keep_every == 0
        most = RECALIBRATE_ON if due else min(max(128, count // 8), 1024)
        rows = sample_rows(count, most, self.seed)
        recalibrate(
            self.model, self.views(rows), device=self.device, precision=self.precision
        )

    def _health(self):
        return check_health(
            self.model,
            self.views,
            len(self.store),
            seed=self.seed,
            device=self.device,
            precision=self.precision,
        )


def _wrapped(model, device, ranks, compiled):
    """Return what is called in training: compiled and shared where asked for."""
    network = torch.compile(model, dynamic=False) if compiled else model
    if ranks.world > 1:
        network = shared_over_ranks(network, device)
    return network


def _optimizer(model, recipe, lr):
    parameters = model.parameters()
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    return torch.optim.AdamW(
        parameters, lr=lr, weight_decay=recipe.weight_decay, fused=True
    )
