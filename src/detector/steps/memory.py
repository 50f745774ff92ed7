"""How much of a container's memory is in use, where the kernel would end the whole container.

With cgroup v2 Kubernetes has the kernel kill every process of a container that runs out of memory,
the step that would have started its work again among them.
"""

from dataclasses import dataclass
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_NEARLY_FULL = 0.97
_NOT_RECLAIMABLE = ("anon", "shmem", "unevictable", "slab_unreclaimable", "kernel_stack")
"""Of memory.stat: what the kernel can't drop to make room. Caches of files it can."""


@dataclass(frozen=True)
class Memory:
    """The memory of one control group.

    Attributes:
        cgroup: the folder in which the kernel shows it.
        limit: bytes.
    """

    cgroup: Path
    limit: int

    @classmethod
    def of_this_container(cls, cgroup: Path = _CGROUP) -> "Memory | None":
        """None where there is no limit, or where the kernel kills one process alone."""
        try:
            limit = (cgroup / "memory.max").read_text(encoding="utf-8").strip()
            kills_all = (cgroup / "memory.oom.group").read_text(encoding="utf-8").strip() == "1"
        except OSError:
            return None
        return cls(cgroup, int(limit)) if kills_all and limit.isdecimal() else None

    @property
    def used(self) -> int:
        """Bytes that the kernel can't take back."""
        rows = (
            line.split()
            for line in (self.cgroup / "memory.stat").read_text(encoding="utf-8").splitlines()
        )
        return sum(int(count) for name, count in rows if name in _NOT_RECLAIMABLE)

    def is_nearly_full(self) -> bool:
        """Whether the container is about to be ended for its use of memory."""
        return self.used > _NEARLY_FULL * self.limit

    def __str__(self) -> str:
        return f"{self.used / 2**30:.1f} of {self.limit / 2**30:.1f} GiB"
