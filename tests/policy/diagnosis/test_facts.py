"""What a reply's text states: total on any text, bounded, printable, and a stranger's word only."""

from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policy.diagnosis.facts import (
    CODE_LIMIT,
    SESSION_LIMIT,
    URL_LIMIT,
    URLS_LIMIT,
    Blocklist,
    Facts,
    Listed,
    read_facts,
    shipped_blocklists,
)
from policy.text import TEXT_LIMIT, SafeText, clean

# Pieces that the patterns look for, and pieces that stand in their way.
_PIECES = """
http:// https:// https://check.spamhaus.org/ HTTP://a.example @ : / ? # . .. [ ] ( ) < > 192.0.2.1 127.0.0.2 2001:db8::1
blocked listed zen.spamhaus.org dbl.spamhaus.org sorbs S3150 [TS03] (S3150) OFR_506 AUP#CDRBL AS(1410) ref: x1-2 _ - é
[a.prod.outlook.com q12-20020a.1 gsmtp jo@example.org %40 5.7.1 aaaaaaaaaaaaaaaaaaaa 文
"""
texts = st.one_of(
    st.text(max_size=300),
    st.lists(st.sampled_from(_PIECES.split()), max_size=30).flatmap(
        lambda pieces: st.sampled_from(("", " ")).map(lambda between: between.join(pieces))
    ),
).map(lambda text: clean(text, limit=TEXT_LIMIT))


def facts(text: str) -> Facts:
    return read_facts(clean(text, limit=TEXT_LIMIT))


@given(texts)
@example(SafeText("http://" * 1000))
@example(SafeText("[" * TEXT_LIMIT))
@example(SafeText("a.b-" * 2000 + " - gsmtp"))
@example(SafeText("2001:" * 1600))
@example(SafeText("1.2.3." * 1300))
@example(SafeText("ref: " + "a." * 4000))
@example(SafeText("http://" + "a." * 4000))
@example(SafeText("http://a.example/" + ")" * 8000))
@example(SafeText("[" + "x.outlook.com " * 500))
def test_any_text_has_facts_that_are_bounded_printable_and_stand_in_it(text: SafeText) -> None:
    stated = read_facts(text)
    assert len(stated.urls) <= URLS_LIMIT
    assert all(len(url) <= URL_LIMIT for url in stated.urls)
    assert len(stated.support_code or "") <= CODE_LIMIT
    assert len(stated.session or "") <= SESSION_LIMIT
    for quoted in (*stated.urls, stated.support_code, stated.session):
        assert quoted is None or (type(quoted) is SafeText and quoted.isascii() and quoted.isprintable())
        assert quoted is None or (quoted and quoted in text)
    assert stated.blocklist is None or stated.blocklist in shipped_blocklists()
    assert stated.listed_ip is None or str(ip_address(stated.listed_ip)) == stated.listed_ip


@given(texts, texts)
def test_what_stands_beyond_the_limit_states_nothing(text: SafeText, more: SafeText) -> None:
    full = SafeText((text + " " + "-" * TEXT_LIMIT)[:TEXT_LIMIT])
    assert read_facts(SafeText(full + more)) == read_facts(full)


@given(texts)
def test_a_url_is_read_out_of_itself_and_has_no_userinfo(text: SafeText) -> None:
    for url in read_facts(text).urls:
        assert url.lower().startswith(("http://", "https://"))
        assert "@" not in url.split("/")[2].partition("?")[0].partition("#")[0]
        if url.count("(") == url.count(")"):  # in brackets, one that it opens itself is closed by them
            assert facts(f"see ({url}), please").urls == (url,)


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("see https://a.example/x.", ("https://a.example/x",)),
        ("(see http://a.example/x).", ("http://a.example/x",)),
        ("https://a.example/x_(y) and more", ("https://a.example/x_(y)",)),
        ("<https://a.example/?ip=192.0.2.1&b=c#550>", ("https://a.example/?ip=192.0.2.1&b=c#550",)),
        ("'HTTPS://A.example:8443/x'", ("HTTPS://A.example:8443/x",)),
        ("帮助http://mail.example/help.html查看", ("http://mail.example/help.html",)),
        ("http://a.example http://a.example http://b.example", ("http://a.example", "http://b.example")),
        (" ".join(f"http://{x}.example" for x in "abcdef"), tuple(f"http://{x}.example" for x in "abc")),
        ("http://a.example\\@b.example/", ("http://a.example",)),
        ("http://jo:secret@a.example/", ()),
        ("http://a.example@b.example/", ()),
        ("http://192.0.2.1/ http://[2001:db8::1]/ http://localhost/ http://a.example:x/ http://-a.example/", ()),
        ("http://spamhaus.orgе.example/", ()),  # the letter after `org` is Cyrillic
        ("ftp://a.example/ javascript:alert(1) xhttp://a.example/ http:/a.example http://", ()),
        ("http://a.example/" + "x" * URL_LIMIT, ()),
    ],
)
def test_urls_are_taken_whole_with_a_plausible_host_or_not_at_all(text: str, urls: tuple[str, ...]) -> None:
    assert facts(text).urls == urls


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Client host [192.0.2.1] blocked using zen.spamhaus.org", "Spamhaus ZEN"),
        ("blocked, SPAMHAUS-XBL", "Spamhaus XBL"),
        ("see https://www.spamhaus.org/sbl/query/SBL123456", "Spamhaus SBL"),
        ("listed on Spamhaus SBL-CSS", "Spamhaus CSS"),
        ("listed, see https://www.spamhaus.org/query/ip/192.0.2.1", "Spamhaus"),
        ("domain listed in dbl.spamhaus.org", "Spamhaus DBL"),
        ("Error: open resolver; https://www.spamhaus.org/returnc/pub/192.0.2.1", "Spamhaus (resolver refused)"),
        ("zen.spamhaus.org answered 127.255.255.255", "Spamhaus (resolver refused)"),
        ("Blocked - see https://www.spamcop.net/bl.shtml?192.0.2.1", "SpamCop"),
        ("see http://www.barracudacentral.org/rbl/removal-request", "Barracuda"),
        ("listed at dnsbl-2.uceprotect.net", "UCEPROTECT level 2"),
        ("listed at UCEPROTECT-Level 3", "UCEPROTECT level 3"),
        ("part of their network is on our block list (S3150).", "Microsoft Outlook.com"),
        ("Access denied, banned sending IP [192.0.2.1] AS(1410)", "Microsoft 365"),
        ("poor reputation, see https://ipcheck.proofpoint.com/?ip=192.0.2.1", "Proofpoint PDR"),
        ("listed by multi.uribl.com", "URIBL"),
        ("mail from 192.0.2.1 refused, dnsbl.sorbs.net", "SORBS"),
        ("user unknown", None),
        ("<spamhaus@example.org>: user unknown", None),
        ("<zen.spamhaus.org@example.org>: user unknown", None),
        ("notspamhaus.org", None),
        ("scanned by Barracuda", None),
    ],
)
def test_a_blocklist_is_named_by_name_or_host_and_never_by_an_address(text: str, name: str | None) -> None:
    assert facts(text).blocklist == name


@pytest.mark.parametrize("name", shipped_blocklists())
def test_each_blocklist_is_found_by_each_of_its_markers_or_by_one_that_stands_before(name: str) -> None:
    order = list(shipped_blocklists())
    known = shipped_blocklists()[name]
    found = [facts(f"refused: {marker.removesuffix('*')}!").blocklist or "" for marker in known.markers]
    assert name in found
    assert all(order.index(each) <= order.index(name) for each in found)


@pytest.mark.parametrize("known", shipped_blocklists().values(), ids=shipped_blocklists())
def test_the_pages_of_a_blocklist_are_such_as_a_reply_may_name(known: Blocklist) -> None:
    for page in (known.lookup, known.delisting):
        assert not page or facts(page).urls == (page,)
    assert known.note or known.lookup or known.delisting


@given(
    st.sampled_from([each for each in shipped_blocklists().values() if each.kind is not Listed.IP]), st.ip_addresses()
)
def test_a_list_of_domains_or_of_nobody_lists_no_address(known: Blocklist, address: object) -> None:
    text = f"[{address}] blocked using {known.markers[0]}"
    assert facts(text).listed_ip is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (
            "Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1",
            "192.0.2.1",
        ),
        ("your IP 192.0.2.1 is blocked.", "192.0.2.1"),
        ("JunkMail rejected - a.example [192.0.2.1]:4242 is in an RBL", "192.0.2.1"),
        ("2001:DB8:0:0::1: listed by bl.mailspike.net", "2001:db8::1"),
        ("[IPv6:2001:db8::1] is banned", "2001:db8::1"),
        ("192.0.2.1 blocked using bl.example, answer 127.0.0.2", "192.0.2.1"),
        ("1.2.0.192.zen.spamhaus.org", None),
        ("network 192.0.2.0/24 is blocked", None),
        ("[203.0.113.9] says: 192.0.2.1 is blocked", None),
        ("blocked at 12:30:45 by 300.1.2.3, version 1.2.3", None),
        ("<jo@[192.0.2.1]> is blocked", None),
        ("[192.0.2.1]: user unknown", None),
    ],
)
def test_the_listed_address_is_the_only_one_that_a_blocking_text_names(text: str, address: str | None) -> None:
    assert facts(text).listed_ip == address


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[TS03] All messages from 192.0.2.1 will be permanently deferred", "TS03"),
        ("[IPTS04] Messages temporarily deferred", "IPTS04"),
        ("part of their network is on our block list (S3150).", "S3150"),
        ("Message not accepted. (AU01)", "AU01"),
        ("service refused, OFR_506 [506]", "OFR_506"),
        ("Client refuse LPN007_405", "LPN007_405"),
        ("too many: IB504 <http://x.godaddy.example/>", "IB504"),
        ("blocked - AUP#CDRBL", "AUP#CDRBL"),
        ("AUP#I-1310 limit", "AUP#I-1310"),
        ("E2110 blocked", "E2110"),
        ("banned sending IP AS(16012611)", "AS(16012611)"),
        ("see https://www.spamhaus.org/sbl/query/SBL123456", "SBL123456"),
        ("(RTR:BL) http://postmaster.aol.example", "RTR:BL"),
        ("Unfortunately, OU-001", "OU-001"),
        ("DT:RBL 163 smtp1", "DT:RBL"),
        ("quote Reference: 4711-ab.c2, please", "4711-ab.c2"),
        ("no mailbox by that name (#5.1.1)", None),
        ("see [RFC5321] and (UTF8)", None),
        ("<OFR_506@example.org>: unknown, IB504.example.org too, and me@IB504", None),
        ("ref: 5.7.1 and case: closed, ref: https://a1.example/", None),
        ("network (AS64496)", None),
    ],
)
def test_the_support_code_is_what_a_provider_wants_quoted(text: str, code: str | None) -> None:
    assert facts(text).support_code == code


@pytest.mark.parametrize(
    ("text", "session"),
    [
        ("see https://support.google.com/mail q12-20020a05600c350c.1234 - gsmtp", "q12-20020a05600c350c.1234"),
        (
            "unknown [DB5EUR01FT042.eop-EUR01.prod.protection.outlook.com 2024-01-02T03:04:05.678Z 08DC0B2E]",
            "DB5EUR01FT042.eop-EUR01.prod.protection.outlook.com 2024-01-02T03:04:05.678Z 08DC0B2E",
        ),
        ("denied [AM0PR02MB1234.eurprd02.prod.outlook.com]", "AM0PR02MB1234.eurprd02.prod.outlook.com"),
        ("Rejected. [mQGG6FzyMrOUZ0pUiAiG9w.uk77]", "mQGG6FzyMrOUZ0pUiAiG9w.uk77"),
        ("2.0.0 Ok: queued as 4XyZ12abcd", "4XyZ12abcd"),
        ("unknown [mx.example.org]", None),
        ("mail - gsmtp", None),
    ],
)
def test_the_session_is_the_id_by_which_the_provider_finds_the_conversation(text: str, session: str | None) -> None:
    assert facts(text).session == session
    assert session is None or facts(text).support_code is None
