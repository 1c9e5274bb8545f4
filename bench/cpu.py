"""CPU time of a running process, from the kernel's own account."""

import os
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """User and system time so far, of all threads, ended ones too, in seconds.

    Counted in clock ticks, commonly 10 ms. Source: proc_pid_stat(5), fields 14 and 15.

    Raises:
        FileNotFoundError: There is no such process.
    """
    # The second field is the program's name in brackets, which may itself hold blanks and brackets.
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
