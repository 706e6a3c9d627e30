from bench._load.outcome import Outcome
from bench._load.target import Target

def arrivals(target: Target, *, per_second: float, seconds: float, kind: str) -> Outcome: ...
