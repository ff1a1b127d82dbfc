"""No tracked file names a machine's folders or the registry that a machine installs from."""

import configparser
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from infra.gate.check import ROOT, CheckFailed, git

FILE_BYTES_MAX = 5_000_000  # larger ones are data, not prose or code
SELF = "infra/gate/leaks.py"

MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|Users|work)/\w+")
# A lock or a project file that names where packages come from ties every user to that place.
PACKAGE_SOURCE = re.compile(r"(?i)(?:--(?:extra-)?index-url|--find-links|index-url\s*=)\s*\S+")
SOURCE_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX")
PIP_SETTINGS = ("/etc/pip.conf", "~/.config/pip/pip.conf", "~/.pip/pip.conf")
PUBLIC_HOSTS = frozenset({"pypi.org", "files.pythonhosted.org"})


def check() -> str:
    """Read every tracked file.

    Raises:
        CheckFailed: One names such a thing; the message says file and line.
    """
    hosts = [re.compile(re.escape(host)) for host in _registry_hosts()]
    patterns = [MACHINE_PATH, PACKAGE_SOURCE, *hosts]
    found = [
        f"{name}:{number}: {line.strip()[:200]}"
        for name in git("ls-files").splitlines()
        for number, line in _lines(name)
        if any(pattern.search(line) for pattern in patterns)
    ]
    if found:
        raise CheckFailed("tracked files name a machine's paths or registry:\n" + "\n".join(found))
    return ""


def _lines(name: str) -> Iterator[tuple[int, str]]:
    path = ROOT / name
    if name == SELF or not path.is_file() or path.stat().st_size > FILE_BYTES_MAX:
        return
    try:
        yield from enumerate(path.read_text().splitlines(), 1)
    except UnicodeDecodeError:
        return


def _registry_hosts() -> set[str]:
    """Return the hosts from which this machine installs, where they are not everybody's."""
    urls = [os.environ.get(name, "") for name in SOURCE_VARIABLES]
    for file in PIP_SETTINGS:
        settings = configparser.ConfigParser(interpolation=None)
        settings.read(Path(file).expanduser())
        for section in settings.sections():
            urls += [settings[section].get(name, "") for name in ("index-url", "extra-index-url")]
    hosts = {urlsplit(url).hostname or "" for line in urls for url in line.split()}
    return hosts - PUBLIC_HOSTS - {""}
