"""Merkle trees over records (RFC 9162): SHA-256, leaves under 00, nodes under 01.

The levels of a tree are kept one after the other, leaves first, 32 bytes a hash, so that a proof
of a million records reads twenty hashes. An odd last hash of a level moves up as it is.
"""

from collections.abc import Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY = sha256(b"").digest()


def leaf_hash(record_sha256: bytes) -> bytes:
    """Return the leaf of a record."""
    return sha256(b"\0" + record_sha256).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the node above two hashes."""
    return sha256(b"\1" + left + right).digest()


def build_tree(leaves: bytes) -> bytes:
    """Return all levels of the tree over leaves, 32 bytes each; the last hash is the root."""
    if not leaves:
        return EMPTY
    levels = [leaves]
    while len(level := levels[-1]) > HASH_BYTES:
        pairs = len(level) // (2 * HASH_BYTES)
        above = bytearray()
        for place in range(0, pairs * 2 * HASH_BYTES, 2 * HASH_BYTES):
            above += sha256(b"\1" + level[place : place + 2 * HASH_BYTES]).digest()
        above += level[pairs * 2 * HASH_BYTES :]
        levels.append(bytes(above))
    return b"".join(levels)


def path_places(leaves: int, place: int) -> list[int]:
    """Return where in the levels' bytes the hashes beside the path of a leaf begin."""
    places: list[int] = []
    first, width = 0, leaves
    while width > 1:
        beside = place ^ 1
        if beside < width:
            places.append((first + beside) * HASH_BYTES)
        first, place, width = first + width, place // 2, (width + 1) // 2
    return places


def is_under(
    root: bytes, *, leaves: int, place: int, record_sha256: bytes, path: Sequence[bytes]
) -> bool:
    """Whether a record lies at a place under a root, by its path."""
    found, width, rest = leaf_hash(record_sha256), leaves, list(path)
    while width > 1:
        beside = place ^ 1
        if beside < width:
            if not rest:
                return False
            other = rest.pop(0)
            found = node_hash(other, found) if place % 2 else node_hash(found, other)
        place, width = place // 2, (width + 1) // 2
    return not rest and found == root
