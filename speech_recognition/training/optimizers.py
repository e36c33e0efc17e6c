"""Optimizers, and the learning rate of every step, from `OptimizerParams`."""

import math

from torch import nn, optim

from params import OptimizerParams


def build_optimizer(params: OptimizerParams, model: nn.Module) -> optim.Optimizer:
    """The optimizer over all weights of `model`; its learning rate is set before every step."""
    if params.name == "sgd":
        return optim.SGD(
            model.parameters(),
            lr=params.learning_rate,
            momentum=params.momentum,
            nesterov=params.momentum > 0,
            weight_decay=params.weight_decay,
        )
    return optim.AdamW(
        model.parameters(),
        lr=params.learning_rate,
        betas=(params.beta1, params.beta2),
        eps=params.epsilon,
        weight_decay=params.weight_decay,
    )


def learning_rate(params: OptimizerParams, step: int, epoch_steps: int, epochs: int) -> float:
    """Learning rate of `step`, counted from 0 over the whole run of `epochs` times `epoch_steps`."""
    if params.schedule == "anneal":
        return params.learning_rate / params.anneal_factor ** (step // epoch_steps)
    total = epoch_steps * epochs
    warmup = params.warmup_fraction * total
    if step < warmup:
        return params.learning_rate * (step + 1) / (warmup + 1)
    return params.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
