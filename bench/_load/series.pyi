from bench._load.outcome import Outcome
from bench._load.target import Target

def connections(
    target: Target, *, at_a_time: int = 1, seconds: float = 0.0, count: int = 0, resume: bool = False
) -> Outcome: ...
