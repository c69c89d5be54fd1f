"""One browser and one server for all browser tests."""

import os

import pages
import pytest


def unavailable(reason):
    """Skip on a laptop; fail where the tests are meant to be complete."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium():
    if pages.chromium_path() is None:
        unavailable(pages.NO_CHROMIUM)
    with pages.browser() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def context(chromium):
    """Light mode, no animations, and nothing but this machine answers."""
    context = chromium.new_context(
        color_scheme="light", reduced_motion="reduce"
    )
    local = ("http://127.0.0.1:", "file:", "data:", "blob:", "about:")
    context.route(
        lambda url: not url.startswith(local), lambda route: route.abort()
    )
    yield context
    context.close()


@pytest.fixture(scope="session")
def tab(context):
    return context.new_page()


@pytest.fixture(scope="session")
def book():
    """The address of the built book."""
    if not (pages.HTML / "index.html").is_file():
        unavailable(pages.NO_BOOK)
    with pages.serve(pages.HTML) as address:
        yield address
