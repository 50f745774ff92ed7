"""What a pod asks for, in Kubernetes' own words."""

import math
import string
from dataclasses import dataclass
from decimal import Decimal

from kubernetes.utils.quantity import parse_quantity

THREADS = "OMP_NUM_THREADS"
"""A library that counts the node's cores would start as many threads."""
QUEUE = "kueue.x-k8s.io/queue-name"
"""The label that names Kueue's local queue in which a pod or a job waits."""


@dataclass(frozen=True)
class Resources:
    """CPU and memory.

    Attributes:
        cpu: cores that it is sure of, such as "4" or "500m".
        cpu_limit: cores that it never exceeds.
        memory: what it is sure of, such as "24Gi".
        memory_limit: above it the container is killed.
    """

    cpu: str
    cpu_limit: str
    memory: str
    memory_limit: str

    @property
    def threads(self) -> int:
        """How many threads are of use, at least 1.

        >>> Resources("2500m", "4", "1Gi", "2Gi").threads
        3
        """
        cores: Decimal = parse_quantity(self.cpu)
        return max(1, math.ceil(cores))

    def times(self, count: int) -> "Resources":
        """What `count` processes ask for together.

        >>> Resources("500m", "4", "24Gi", "2.5Gi").times(2)
        Resources(cpu='1000m', cpu_limit='8', memory='48Gi', memory_limit='5Gi')
        """
        return Resources(
            *(
                multiple(count, quantity)
                for quantity in (self.cpu, self.cpu_limit, self.memory, self.memory_limit)
            )
        )


def multiple(count: int, quantity: str) -> str:
    """`count` times a quantity, in the same unit.

    >>> multiple(3, "2500Mi")
    '7500Mi'
    """
    number = quantity.rstrip(string.ascii_letters)
    total = count * Decimal(number)
    return f"{total.normalize():f}{quantity.removeprefix(number)}"
