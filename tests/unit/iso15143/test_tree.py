"""Pages as trees: what counts as a part, what is read past, and what is refused before parsing."""

import time
from contextlib import suppress

import pytest

from services.iso15143.errors import PageRefused
from services.iso15143.model import Part
from services.iso15143.reader import read_page
from services.iso15143.tree import NODES_MAX, name_of, own_name, parse, texts_of

ENTITY = '<!DOCTYPE Fleet [<!ENTITY a "b">]>'
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"


@pytest.mark.parametrize(
    ("page", "texts"),
    [
        ("<a><B> 1 </B><c/></a>", {"b": "1", "c": ""}),
        ("<a><b>1</b><B>2</B></a>", {"b": "1"}),
        ("<a dateTime='1' datetime='2'><datetime>3</datetime></a>", {"datetime": "1"}),
        ("<a><b>4<!-- of --><?of it?>1<![CDATA[<&]]>2</b></a>", {"b": "41<&2"}),
        ("<a><!-- b --><b>1</b><?c d?></a>", {"b": "1"}),
        ("<a><b>4<c>x</c>1<c/>\n 2 </b></a>", {"b": "41\n 2"}),
        ("<a><b>&lt;&#x5C71;&amp;</b></a>", {"b": "<山&"}),
        ("<p:a xmlns:p='urn:p' p:c='2'><p:b>1</p:b></p:a>", {"b": "1", "c": "2"}),
        ("<p:a q:c='2'><r:b>1</r:b><s:t:u>3</s:t:u></p:a>", {"b": "1", "c": "2", "u": "3"}),
        ("<a xmlns='relative' xmlns:p=''><p:b>1</p:b></a>", {"b": "1"}),
        ("<a xsi:nil='true' xml:lang='de' b='1'/>", {"b": "1"}),
        (f"<a xmlns:i='{INSTANCE}' i:nil='true' b='1'/>", {"b": "1"}),
        ('{"equipment": "x", "B": 1.50, "b": 2}', {"equipment": "x", "b": "1.50"}),
    ],
)
def test_a_nodes_texts_are_those_of_its_attributes_and_parts(
    page: str, texts: dict[str, str]
) -> None:
    assert texts_of(parse(page.encode())) == texts


def test_names_are_told_apart_by_namespaces_and_prefixes_nowhere() -> None:
    assert [own_name(tag) for tag in ("{urn:a:b}Hour", "p:Hour", "Hour")] == ["Hour"] * 3
    assert name_of("{http://standards.iso.org/iso/15143/-3}PIN") == "pin"


def test_undeclared_prefixes_excuse_nothing_else() -> None:
    prefixes = b"<x:b y:c='1'/>" * 500  # far more than the parser lists
    assert len(parse(b"<z:Fleet>" + prefixes + b"</z:Fleet>")) == 500
    for broken in (b"<d>", b"&unknown;", b"<e f='1' f='2'/>", b"\x01", b"<"):
        with pytest.raises(PageRefused, match=r"not well-formed XML: .*line 1, column"):
            parse(b"<z:Fleet>" + prefixes + broken + prefixes + b"</z:Fleet>")


@pytest.mark.parametrize(
    "page",
    [
        ENTITY + "<Fleet>&a;</Fleet>",
        "\ufeff" + ENTITY + "<Fleet/>",
        "\ufeff\ufeff" + ENTITY + "<Fleet/>",
        "<?xml version='1.0'?>\n<!-- > --><?pi <!-- ?>\n" + ENTITY + "<Fleet/>",
        "<!----><!-- <? -->" + ENTITY + "<Fleet/>",
        "<!-- a --><!DOCTYPE Fleet><Fleet/>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_document_type_is_refused_wherever_it_may_stand(page: str, encoding: str) -> None:
    if encoding == "utf-16":
        page = page.removeprefix("\ufeff")  # the encoding writes a mark of its own
    with pytest.raises(PageRefused, match="document type"):
        parse(page.encode(encoding))


def test_a_document_type_is_seen_in_any_encoding() -> None:
    page = "<?xml version='1.0' encoding='cp037'?>" + ENTITY + "<Fleet/>"
    with pytest.raises(PageRefused):
        parse(page.encode("cp037"))
    stated = b"<?xml version='1.0' encoding='utf-7'?>+ADw-!DOCTYPE Fleet><Fleet/>"
    with pytest.raises(PageRefused, match="document type"):
        parse(stated)


def test_what_only_looks_like_a_document_type_is_read() -> None:
    page = (
        b"<!-- <!DOCTYPE a> --><?b <!DOCTYPE a> ?><Fleet><c><![CDATA[<!DOCTYPE html>]]></c></Fleet>"
    )
    assert read_page(page).fleet.extras == (Part("c", "<!DOCTYPE html>"),)


@pytest.mark.parametrize("start", [b"<!--a-->", b"<?a?>", b" ", b"<!--", b"<?"])
def test_a_long_start_is_passed_in_one_go(start: bytes) -> None:
    started_s = time.process_time()
    with suppress(PageRefused):
        parse(start * 200_000 + b"<Fleet/>")
    assert time.process_time() - started_s < 5  # to try again at each would take for ever


def test_elements_and_attributes_are_counted_before_they_are_parsed() -> None:
    half = NODES_MAX // 2
    assert len(parse(b"<Fleet>" + b"<a>b</a>" * half + b"</Fleet>")) == half
    for many in (b"<a></a>" * NODES_MAX, b"<a b='' c=''/>" * (NODES_MAX // 3 + 1)):
        with pytest.raises(PageRefused, match="1,000,000 elements"):
            parse(b"<Fleet>" + many + b"</Fleet>")


def test_depth_is_bounded_in_known_parts_too() -> None:
    row = b"<Fleet><Equipment><Distance>%s</Distance></Equipment></Fleet>"  # three levels
    assert name_of(parse(row % (b"<a>" * 18 + b"</a>" * 18)).tag) == "fleet"
    with pytest.raises(PageRefused, match="more than 20 levels deep"):
        parse(row % (b"<a>" * 19 + b"</a>" * 19))
    with pytest.raises(PageRefused):
        parse(row % (b"<a>" * 5_000 + b"</a>" * 5_000))


@pytest.mark.parametrize(
    "page",
    [
        "<Fleet>",
        "<Fleet/><Fleet/>",
        "<Fleet/>and more",
        "<Fleet a='<'/>",
        "<Fleet>]]></Fleet>",
        "<Fleet>&a;</Fleet>",
        "<Fleet a='&b;'/>",
        "<Fleet>&#0;</Fleet>",
        " <?xml version='1.0'?><Fleet/>",
        "<?xml version='1.0' encoding='us-ascii'?><Fleet>ä</Fleet>",
    ],
)
def test_what_is_not_well_formed_is_refused_though_prefixes_are_not_minded(page: str) -> None:
    with pytest.raises(PageRefused):
        parse(page.encode())


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(PageRefused, match="not well-formed"):
        parse(b"<Fleet>\xff</Fleet>")
