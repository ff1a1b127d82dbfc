"""The words by which a listing is found."""

from collections.abc import Sequence


def search_terms(*texts: str) -> list[str]:
    """Return the words of texts as search keeps them: Latin words whole, Chinese in pairs.

    A run of Chinese characters gives each character and each pair of neighbours, so that any part
    of it is found without a dictionary.
    """
    terms: set[str] = set()
    for word in _words(texts):
        if word.isascii():
            terms.add(word)
        else:
            terms.update(word, (word[place : place + 2] for place in range(len(word) - 1)))
    return sorted(terms)


def query_terms(text: str) -> list[str]:
    """Return the terms that all must stand in what a search for `text` finds."""
    terms: set[str] = set()
    for word in _words([text]):
        if word.isascii() or len(word) == 1:
            terms.add(word)
        else:
            terms.update(word[place : place + 2] for place in range(len(word) - 1))
    return sorted(terms)


def _words(texts: Sequence[str]) -> list[str]:
    """Split texts into lower-case runs of ASCII letters and digits, or of other letters."""
    words: list[str] = []
    run = ""
    for character in " ".join(texts).casefold():
        if not character.isalnum():
            words, run = [*words, run] if run else words, ""
        elif run and run[-1].isascii() != character.isascii():
            words, run = [*words, run], character
        else:
            run += character
    return [*words, run] if run else words
