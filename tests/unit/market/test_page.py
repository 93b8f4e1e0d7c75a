"""The page stands alone: it needs no other host, no build, and only the routes the market serves."""

import re


def test_the_page_loads_nothing_from_elsewhere(page: str) -> None:
    assert set(re.findall(r"[a-z]+://[^\s\"'`)]+", page)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=\"(?!data:,)", page)


def test_the_page_asks_for_the_routes_of_the_market_only(page: str) -> None:
    assert set(re.findall(r"get\(.(/[a-z]+)", page)) == {"/about", "/symbols", "/candles", "/vwap"}


def test_the_page_says_when_prices_are_not_live(page: str) -> None:
    assert '"local replay"' in page and "not live prices" in page


def test_the_page_never_turns_names_into_markup(page: str) -> None:
    assert "innerHTML" not in page and "insertAdjacentHTML" not in page
