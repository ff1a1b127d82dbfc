"""Pages made to fill memory are refused in a process whose memory is watched."""

import subprocess
import sys

import pytest

MEBIBYTE = 2**20

# Each prints the refusal and the process's greatest resident size in KiB.
END = """
from services.iso15143.errors import PageRefused
from services.iso15143.reader import read_page
from services.iso15143.tree import read_bounded
try:
    attack()
    print("taken")
except PageRefused as refusal:
    print(refusal)
print(next(l.split()[1] for l in open("/proc/self/status") if l.startswith("VmHWM")))
"""

BOMB = """
def attack():
    levels = ['<!ENTITY l0 "haha">']
    for n in range(1, 40):
        levels.append(f'<!ENTITY l{n} "' + f"&l{n - 1};" * 10 + '">')
    read_page(f'<!DOCTYPE Fleet [{"".join(levels)}]><Fleet>&l39;</Fleet>'.encode())
"""

# The stream would make 200 MB; it counts what is asked of it.
ENDLESS = """
class Stream:
    left = 200_000_000
    def read(self, size):
        size = min(size, self.left)
        self.left -= size
        return b" " * size
def attack():
    stream = Stream()
    try:
        read_page(read_bounded(stream))
    finally:
        assert stream.left > 180_000_000
"""

LARGE = """
def attack():
    read_page(b"<Fleet>" + b" " * 200_000_000 + b"</Fleet>")
"""

MANY = """
def attack():
    read_page(b"<Fleet>" + b"<a/>" * 4_000_000 + b"</Fleet>")
"""


@pytest.mark.parametrize(
    ("attack", "refusal", "mebibytes_max"),
    [
        (BOMB, "the page holds a document type, which no fleet page needs", 80),
        (ENDLESS, "the page has more than 16,777,216 bytes", 120),
        # Twice the document that the attack itself makes, and nothing for reading it.
        (LARGE, "the page has 200,000,015 bytes, more than 16,777,216", 80 + 2 * 200),
        (MANY, "the page holds more than 1,000,000 elements", 400),
    ],
    ids=["bomb", "endless-stream", "200-MB", "many-elements"],
)
def test_a_hostile_page_is_refused_within_bounds(
    attack: str, refusal: str, mebibytes_max: int
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", attack + END], capture_output=True, text=True, check=True, timeout=60
    )
    said, peak_kib = ran.stdout.strip().splitlines()
    assert said == refusal
    assert int(peak_kib) * 1024 < mebibytes_max * MEBIBYTE
