"""Evolve the hyperparameters of a YOLOv4 detector, and tell which of them helped."""
