import pytest


@pytest.fixture(autouse=True)
def _few_pages(settings):
    """Show the templates an installation with few pages, whatever the apps have by now."""
    settings.ROOT_URLCONF = "tests.design.urls"
