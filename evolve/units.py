"""Amounts as people read them."""

import math

_STEPS = ("B", "KB", "MB", "GB", "TB")


def duration(seconds: float) -> str:
    """Seconds as 45s, 3m05s or 2h07m; '-' for NaN."""
    if math.isnan(seconds):
        return "-"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def percent(value: float) -> str:
    """A fraction in percent with one decimal; '-' for NaN."""
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def size(count_bytes: float) -> str:
    """Bytes as 312 B, 45 MB or 1.2 GB: powers of 1000, with two to three digits."""
    value, step = float(count_bytes), 0
    while value >= 999.5 and step < len(_STEPS) - 1:
        value, step = value / 1000, step + 1
    return f"{value:.{1 if step and value < 9.95 else 0}f} {_STEPS[step]}"
