"""What the kernel says of a process in /proc/PID/stat (proc_pid_stat(5))."""

from __future__ import annotations

from pathlib import Path

STATE = 0  # where it stands in what process_stat returns: R, S, D, T, Z, X ...
START_TIME = 19  # in ticks of SC_CLK_TCK since the machine started


def process_stat(pid: int) -> list[str]:
    """The fields after the command name, which may hold spaces and parentheses; empty without such a process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def process_state(pid: int) -> str:
    """The state letter; empty when there is no such process."""
    return "".join(process_stat(pid)[:1])


def is_alive(pid: int) -> bool:
    """Whether it exists and has not ended; a zombie has."""
    return process_state(pid) not in ("", "Z", "X")
