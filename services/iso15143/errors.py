"""Why a page or a part of it cannot be read."""


class PageRefused(ValueError):
    """A page as a whole cannot be read; the message says why in one sentence."""


class Unreadable(ValueError):
    """One element of one machine cannot be read; the page's report names both."""
