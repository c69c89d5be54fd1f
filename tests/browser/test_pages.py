"""Every page of the built book, in Chromium, as a reader would meet it."""

import pages
import pytest

pytestmark = pytest.mark.browser
BUILT = [page for page in pages.built_pages() if page != "index.html"]


def test_the_book_is_built(book):
    assert any(page.startswith("chapters/") for page in BUILT)


@pytest.mark.parametrize("page", BUILT)
def test_page(tab, book, page):
    problems = pages.inspect(tab, page, pages.HTML, book)
    assert not any(problems.values()), pages.report(problems)


def test_search_finds_a_word(tab, book):
    tab.goto(f"{book}/search.html?q=token")
    tab.wait_for_selector("#search-results li a", timeout=5000)
    found = tab.locator("#search-results li a")
    assert found.count() > 0
    assert "chapters/" in " ".join(
        link.get_attribute("href") for link in found.all()
    )


def test_search_box_opens_and_leads_to_results(tab, book):
    tab.goto(f"{book}/index.html")
    tab.wait_for_url("**/intro.html")
    pages.settled(tab)
    tab.keyboard.press("Control+k")
    tab.keyboard.type("token")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/search.html?q=token*")
    tab.wait_for_selector("#search-results li a", timeout=5000)


def test_dark_mode_follows_the_reader(chromium, book):
    for scheme in ("light", "dark"):
        context = chromium.new_context(color_scheme=scheme)
        tab = context.new_page()
        tab.goto(f"{book}/book/intro.html")
        theme = tab.evaluate("document.documentElement.dataset.theme")
        ground = tab.evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        context.close()
        assert theme == scheme
        brightness = sum(map(int, ground.strip("rgb()").split(",")[:3]))
        assert (brightness > 384) == (scheme == "light")


def test_a_claim_stands_in_the_margin_on_a_desktop_only(tab, book):
    for page in BUILT:
        if 'class="margin sidebar claim"' in (pages.HTML / page).read_text():
            break
    else:
        pytest.skip("no page has a claim")
    edges = """() => [".bd-article h1", "aside.claim"].map((what) =>
      document.querySelector(what).getBoundingClientRect())
      .map((box) => [box.left, box.right])"""
    tab.set_viewport_size(pages.DESKTOP)
    tab.goto(f"{book}/{page}")
    (_, text_ends), (claim_starts, _) = tab.evaluate(edges)
    assert claim_starts > text_ends
    tab.set_viewport_size(pages.PHONE)
    (text_starts, text_ends), (claim_starts, claim_ends) = tab.evaluate(edges)
    assert text_starts - 1 <= claim_starts < claim_ends <= text_ends + 1


def test_opens_without_a_server(context, book):
    """Straight from the disk: no error, formulas drawn, search works."""
    tab = context.new_page()
    wrong = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on(
        "console",
        lambda message: message.type == "error" and wrong.append(message.text),
    )
    tab.on(
        "requestfailed",
        lambda request: (
            request.failure == "net::ERR_ABORTED"  # by going on to a page
            or wrong.append(f"{request.url}: {request.failure}")
        ),
    )
    tab.on(
        "request",
        lambda request: (
            request.url.startswith(("file:", "data:"))
            or wrong.append(request.url)
        ),
    )
    root = pages.HTML.resolve().as_uri()
    tab.goto(f"{root}/index.html")
    tab.wait_for_url("**/intro.html")
    pages.settled(tab)
    for page in BUILT:
        if page.startswith("chapters/"):
            tab.goto(f"{root}/{page}")
            pages.settled(tab)
            formulas = tab.locator(".math").count()
            assert tab.locator(".math mjx-container").count() >= formulas
    assert not wrong
    # The summaries under the results need a server; the results do not.
    tab.goto(f"{root}/search.html?q=token")
    tab.wait_for_selector("#search-results li a", timeout=5000)
    tab.close()


def test_prints_in_light_and_unfolded(chromium, book):
    context = chromium.new_context(color_scheme="dark")
    tab = context.new_page()
    page = next(page for page in BUILT if page.startswith("chapters/"))
    tab.goto(f"{book}/{page}")
    state = """() => [document.documentElement.dataset.theme,
      document.querySelectorAll("article details:not([open])").length]"""
    assert tab.evaluate(state)[0] == "dark"
    tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert tab.evaluate(state) == ["light", 0]
    tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert tab.evaluate(state)[0] == "dark"
    context.close()
