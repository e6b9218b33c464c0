"""Ablation tables: rows of ingredients, trained with the same seeds."""
