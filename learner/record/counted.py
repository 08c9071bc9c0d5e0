"""How many of what, in words."""


def counted(number: float, noun: str) -> str:
    """`1 run`, `2 runs`; a noun that ends in another way is not for this."""
    return f"{number:,.12g} {noun}{'' if number == 1 else 's'}"
