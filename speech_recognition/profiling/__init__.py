"""Profiles of training steps: a window of them recorded by torch, nsys or ncu, and the recordings read into tables."""
