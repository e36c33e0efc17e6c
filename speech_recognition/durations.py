"""Durations as text, for the terminal and for reports."""


def duration(seconds: float) -> str:
    """Return a time in the units that a person uses: 47 s, 5 min 3 s, 2 h 14 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
