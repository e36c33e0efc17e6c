"""Peaks of known GPUs (not a benchmark itself)."""

PEAKS = {
    "H100 PCIe": {"fp32": 51.0, "tf32": 378.0, "bf16": 756.0},
    "H100 NVL": {"fp32": 60.0, "tf32": 417.5, "bf16": 835.0},
    "H100": {"fp32": 67.0, "tf32": 494.5, "bf16": 989.5},
    "H200": {"fp32": 67.0, "tf32": 494.5, "bf16": 989.5},
    "A100": {"fp32": 19.5, "tf32": 156.0, "bf16": 312.0},
    "L40S": {"fp32": 91.6, "tf32": 183.0, "bf16": 362.0},
    "L4": {"fp32": 30.3, "tf32": 60.0, "bf16": 121.0},
    "A10": {"fp32": 31.2, "tf32": 62.5, "bf16": 125.0},
}
"""TFLOP/s of dense products, by a part of the card's name, from NVIDIA's data sheets; a longer name comes first.

The data sheets' figures with sparsity are halved here.
"""


def peak(card: str, precision: str) -> float:
    """Return the peak of the card called `card`, such as "NVIDIA H100 80GB HBM3", in TFLOP/s; 0 if it is unknown."""
    words = f" {card} ".replace("-", " ")
    return next((rates[precision] for name, rates in PEAKS.items() if f" {name} " in words), 0.0)
