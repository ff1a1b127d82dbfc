"""Which faults a round has, by its seed alone.

Seeds come in blocks of ten. In an even block two faults strike at once, in two of its rounds
three, and the block's ten rounds hold every fault there is; in an odd block a round has one.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

ROUNDS_OF_BLOCK = 10
DEALS_MAX = 100_000

# The parts of the stack that a fault takes hold of; faults of one part never strike at once.
PARTS = ("relay", "service", "consumer", "broker", "postgres", "parties")

# Whom a wire of each link connects. Settlement's two replicas are one service here.
LINKS = {
    "client-service": frozenset({"relay", "service"}),
    "service-postgres": frozenset({"relay", "service", "postgres"}),
    "service-kafka": frozenset({"relay", "broker"}),
    "consumer-postgres": frozenset({"consumer", "postgres"}),
    "consumer-kafka": frozenset({"consumer", "broker"}),
    "client-parties": frozenset({"parties"}),
    "service-parties": frozenset({"relay", "service", "parties"}),
    "parties-postgres": frozenset({"parties", "postgres"}),
}
# Of 22 faults two are left over once there are ten pairs; these go with most others.
ODD = ("parties-postgres", "client-parties")
TROUBLES = ("delay", "slice", "cut", "hang")
KILLED = {
    "service": frozenset({"service"}),
    "relay": frozenset({"relay"}),
    "consumer": frozenset({"consumer"}),
    "broker": frozenset({"broker"}),
    "backend": frozenset({"postgres"}),
    "postmaster": frozenset({"postgres"}),
}
STOPPED = KILLED | {"postgres": frozenset({"postgres"})}
DISK = "disk-full"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what happens to what.

    Attributes:
        kind: "kill", "stop", a trouble of a wire, or "disk-full".
        target: A part of the stack, or a link.
        parts: What must not be broken otherwise at the same time.
    """

    kind: str
    target: str
    parts: frozenset[str]

    @property
    def name(self) -> str:
        """Return how reports call it."""
        return self.kind if self.kind == DISK else f"{self.kind} {self.target}"


def faults_of(seed: int, *, with_disk: bool) -> list[Fault]:
    """Return the faults of the round of a seed."""
    block, place = divmod(seed, ROUNDS_OF_BLOCK)
    rng = random.Random(f"block {block}")
    if block % 2:
        dealt = _all_faults(rng)
        rng.shuffle(dealt)
        chosen = [dealt[place]]
    else:
        chosen = _deal(rng)[place]
    # Where the machine has no disk of its own to fill, that fault is left out, and no other
    # takes its place, so that a seed has the same faults everywhere else.
    return [fault for fault in chosen if with_disk or fault.kind != DISK]


def _all_faults(rng: random.Random) -> list[Fault]:
    """Return every fault once: of each link one trouble, drawn so that none is left out."""
    troubles = [*TROUBLES, *(rng.choice(TROUBLES) for _ in range(len(LINKS) - len(TROUBLES)))]
    rng.shuffle(troubles)
    return [
        *(Fault("kill", target, parts) for target, parts in KILLED.items()),
        *(Fault("stop", target, parts) for target, parts in STOPPED.items()),
        *(Fault(trouble, link, LINKS[link]) for trouble, link in zip(troubles, LINKS, strict=True)),
        Fault(DISK, "postgres", frozenset({"postgres"})),
    ]


def _deal(rng: random.Random) -> Sequence[list[Fault]]:
    """Return all 22 faults, two or three a round, those of a round in different parts."""
    for _ in range(DEALS_MAX):
        faults = _all_faults(rng)
        rng.shuffle(faults)
        odd = [next(fault for fault in faults if fault.target == link) for link in ODD]
        faults = [fault for fault in faults if fault not in odd]
        # Those that have the fewest partners choose first.
        faults.sort(key=lambda fault: (-len(fault.parts), "postgres" not in fault.parts))
        pairs: list[list[Fault]] = []
        while faults:
            fault = faults.pop(0)
            partners = [other for other in faults if not fault.parts & other.parts]
            if not partners:
                break
            partner = rng.choice(partners)
            faults.remove(partner)
            pairs.append([fault, partner])
        else:
            rng.shuffle(pairs)
            if all(_add(pairs, fault, rng) for fault in odd):
                return pairs
    raise AssertionError("the faults cannot be dealt in pairs")


def _add(pairs: Sequence[list[Fault]], fault: Fault, rng: random.Random) -> bool:
    """Add a fault to a round that breaks none of its parts; False where there is none."""
    free = [pair for pair in pairs if not any(one.parts & fault.parts for one in pair)]
    if free:
        rng.choice(free).append(fault)
    return bool(free)
