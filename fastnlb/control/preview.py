"""What a configuration file would change if it were to be served: `fastnlb check --diff`."""

from __future__ import annotations

from fastnlb.config.errors import ConfigError
from fastnlb.config.load import load
from fastnlb.config.plan import plan
from fastnlb.control.naming import with_addresses
from fastnlb.control.settings import fixed_differences
from fastnlb.model import Settings, Snapshot


def preview(path: str, in_force: Snapshot, running: Settings | None) -> tuple[bool, list[str]]:
    """Whether the file could be served, and a line for each thing that would change, or for each problem.

    Host names have the addresses that are in force; a new one has none yet.  `running`: the settings of this daemon,
    for what would have to wait for the next start.
    """
    try:
        loaded = load(path)
    except ConfigError as refused:
        return False, [problem.render(path) for problem in refused.problems]
    known = {host.name: host.addresses for host in in_force.hosts}
    lines = plan(in_force, with_addresses(loaded.snapshot, known)).describe()
    return True, lines + ([] if running is None else fixed_differences(running, loaded.settings))
