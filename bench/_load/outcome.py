"""What a load came to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Outcome:
    """Units of work that were done, those that failed, and how long each of a sample of them took."""

    units: int
    failed: int
    bytes: int
    """Payload: what clients received, or in an upload what they sent."""
    seconds: float
    latencies_us: list[float] = field(repr=False)
    """Sorted; a uniform sample of at most 200,000 units."""

    def at(self, share: float) -> float:
        """The latency in us that this share (0 to 1) of the units did not exceed.  Raises ValueError without any."""
        if not self.latencies_us:
            raise ValueError("no unit was done, so none took any time")
        return self.latencies_us[min(int(share * len(self.latencies_us)), len(self.latencies_us) - 1)]
