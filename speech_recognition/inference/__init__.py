"""Inference: a trained model from a file, in the precision that was asked for, and what is done with it."""
