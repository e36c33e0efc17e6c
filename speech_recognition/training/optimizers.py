"""Optimizers, and the learning rate of every step."""

import math
from collections.abc import Callable
from typing import Any

from torch import nn, optim

from speech_recognition.parameters import OptimizerParams, Params
from speech_recognition.training.lamb import Lamb


def build_optimizer(params: OptimizerParams, model: nn.Module) -> optim.Optimizer:
    """Return the optimizer over all weights of `model`, which are on their device already.

    `set_rates` sets its learning rate before every step.
    """
    if params.name == "sgd":
        return optim.SGD(
            model.parameters(),
            lr=params.learning_rate,
            momentum=params.momentum,
            nesterov=params.momentum > 0,  # torch refuses Nesterov's form without momentum
            weight_decay=params.weight_decay,
        )
    kind: Callable[..., optim.Optimizer] = {"adam": optim.Adam, "adamw": optim.AdamW, "lamb": Lamb}[params.name]
    # One kernel that reads and writes everything once, where torch has it; Lamb has one form only.
    has_kernel = params.name != "lamb" and next(model.parameters()).device.type in ("cpu", "cuda")
    return kind(
        model.parameters(),
        lr=params.learning_rate,
        betas=(params.beta1, params.beta2),
        eps=params.epsilon,
        weight_decay=params.weight_decay,
        **({"fused": True} if has_kernel else {}),
    )


def load_optimizer(optimizer: optim.Optimizer, state: dict[str, Any]) -> None:
    """Replace an optimizer's state by one that `state_dict` returned, perhaps on a different kind of device."""
    # torch would take over the choice of the other device, too.
    own = {"fused": optimizer.defaults["fused"]} if "fused" in optimizer.defaults else {}
    optimizer.load_state_dict({**state, "param_groups": [group | own for group in state["param_groups"]]})


def learning_rate(params: Params, epoch: int, step: int, steps: int) -> float:
    """Return the learning rate of `step`, counted from 0 over the whole run of `steps`, in `epoch`, counted from 1.

    anneal: one rate for each epoch. one_cycle and warmup_cosine: a linear rise over the first `warmup` steps to
    optimizer.learning_rate, then half a cosine down to `end`, which the step after the last one would have.
    """
    optimizer = params.optimizer
    if optimizer.schedule == "anneal":
        return _annealed(params, epoch)
    if optimizer.schedule == "one_cycle":
        warmup, end = optimizer.warmup_fraction * steps, 0.0
    else:
        # At most steps - 1, so that a run shorter than its warm-up has one step at the full rate.
        warmup, end = min(optimizer.warmup_steps, steps - 1), optimizer.end_learning_rate
    if step < warmup:
        # From 1 / (warmup + 1) of the rate: a first step at rate 0 would learn nothing.
        return optimizer.learning_rate * (step + 1) / (warmup + 1)
    fall = 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
    return end + (optimizer.learning_rate - end) * fall


def _annealed(params: Params, epoch: int) -> float:
    """Return the rate of `epoch`: divided after every epoch by the factor of that epoch's stage (2018 reference: 1.1).

    A later stage that has a rate of its own begins with it.
    """
    rate = params.optimizer.learning_rate
    for each in range(2, epoch + 1):
        stage = params.stage(each)
        if stage.first_epoch == each and stage.learning_rate is not None:
            rate = stage.learning_rate
        else:
            rate /= params.stage(each - 1).anneal_factor
    return rate


def set_rates(optimizer: optim.Optimizer, rate: float, momentum: float) -> None:
    """Set the learning rate and, if the optimizer has one, the momentum of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate
        if "momentum" in group:
            group["momentum"] = momentum
