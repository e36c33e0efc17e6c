"""Health check of the image: two training steps and an evaluation of `mini`, on the device that a run would use.

    python docker/health.py [DEVICE]

The batches are noise, so that no dataset is needed. Exit status 0 if everything was computed.
"""

import sys

import params
from speech_recognition.runtime.devices import choose_device
from speech_recognition.training.prepare import resolve_precision
from speech_recognition.training.trainer import Trainer

device = choose_device(sys.argv[1] if len(sys.argv) > 1 else "auto")
chosen = resolve_precision(params.mini(), device, None)
Trainer(chosen, seed=1, device=device).warm_up(train_seconds=1, val_seconds=1)
print(f"healthy: two training steps and an evaluation of mini on {device}")
