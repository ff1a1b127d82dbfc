"""Fleet pages in the dialects that have been seen; every machine and number is invented."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "pages"

WHOLE = (_FOLDER / "whole.xml").read_bytes()
CHILD_INSTANTS = (_FOLDER / "child_instants.xml").read_bytes()
CAUTIONS = (_FOLDER / "cautions.xml").read_bytes()
MINUTES = (_FOLDER / "minutes.xml").read_bytes()
CAMEL_CASE = (_FOLDER / "camel_case.json").read_bytes()
BROKEN = (_FOLDER / "broken.xml").read_bytes()
UNKNOWN = (_FOLDER / "unknown.xml").read_bytes()
SERIES = (_FOLDER / "series.xml").read_bytes()
