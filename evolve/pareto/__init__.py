"""Fronts of latency and AP over runs and weights: what is measured, and what is said of it."""
