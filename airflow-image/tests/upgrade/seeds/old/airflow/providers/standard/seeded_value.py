from dataclasses import dataclass


@dataclass
class SeededValue:
    number: int
