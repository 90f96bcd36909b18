"""What was asked for: a program prints whether it was reached, and ends with 1 where something was missed."""


def at_least(what: str, value: float, limit: float) -> bool:
    return _tell(what, f"{value:.2f} >= {limit:g}", value >= limit)


def at_most(what: str, value: float, limit: float) -> bool:
    return _tell(what, f"{value:.2f} <= {limit:g}", value <= limit)


def _tell(what: str, asked: str, reached: bool) -> bool:
    print(f"  {'reached' if reached else 'MISSED'}: {what} {asked}")
    return reached
