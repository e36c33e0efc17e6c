"""Optimizers, and the learning rate of every step."""

import math

from torch import nn, optim

from params import OptimizerParams, Params


def build_optimizer(params: OptimizerParams, model: nn.Module) -> optim.Optimizer:
    """Return the optimizer over all weights of `model`. `set_rates` sets its learning rate before every step."""
    if params.name == "sgd":
        return optim.SGD(
            model.parameters(),
            lr=params.learning_rate,
            momentum=params.momentum,
            nesterov=params.momentum > 0,
            weight_decay=params.weight_decay,
        )
    kind = optim.AdamW if params.name == "adamw" else optim.Adam
    return kind(
        model.parameters(),
        lr=params.learning_rate,
        betas=(params.beta1, params.beta2),
        eps=params.epsilon,
        weight_decay=params.weight_decay,
    )


def learning_rate(params: Params, epoch: int, step: int, steps: int) -> float:
    """Return the learning rate of `step`, counted from 0 over the whole run of `steps`, in `epoch`, from 1."""
    optimizer = params.optimizer
    if optimizer.schedule == "anneal":
        return _annealed(params, epoch)
    if optimizer.schedule == "one_cycle":
        warmup, end = optimizer.warmup_fraction * steps, 0.0
    else:
        warmup, end = min(optimizer.warmup_steps, steps - 1), optimizer.end_learning_rate
    if step < warmup:
        return optimizer.learning_rate * (step + 1) / (warmup + 1)
    fall = 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
    return end + (optimizer.learning_rate - end) * fall


def _annealed(params: Params, epoch: int) -> float:
    """Return the rate divided after every epoch by its stage's factor; a stage may begin with its own rate."""
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
