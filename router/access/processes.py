"""Names of processes, by which another one on the same machine sees that they are dead.

The name holds the machine's start, the space that process numbers are counted in (containers have spaces of their
own), the number, and when the process began (proc(5): /proc/pid/stat, field 22).
"""

import os
import secrets
from pathlib import Path
from typing import Final

_HERE: Final = 2
"""So many parts of a name say where the number means something."""


def name_this() -> str:
    """Return a new name for this process."""
    pid = os.getpid()
    return ":".join((*_place(), str(pid), _began(pid), secrets.token_hex(8)))


def is_dead(name: str) -> bool:
    """Say whether a process is known to be dead. Of one that lives elsewhere nothing is known."""
    parts = name.split(":")
    if len(parts) != _HERE + 3 or tuple(parts[:_HERE]) != _place() or not parts[_HERE].isdigit():
        return False
    pid, began = int(parts[_HERE]), parts[_HERE + 1]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # another user's: what it is may be hidden
    return _began(pid) not in {began, ""}


def _place() -> tuple[str, str]:
    """Return the machine's start and the space of process numbers. Where they cannot be read, it is nobody else's."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return boot, str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return secrets.token_hex(8), ""


def _began(pid: int) -> str:
    """Return when a process began; empty where that cannot be read; "dead" for one that only its parent waits for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "dead" if fields[0] in {"Z", "X"} else fields[19]
