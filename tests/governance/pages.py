"""What tests of pages share."""

from django.contrib.messages import get_messages
from django.urls import reverse

HTMX = {"HX-Request": "true"}
RULE = {"threshold": ">1/2", "base": "decided", "quorum": "approval", "quorum_percent": "20"}


def signed_in(client, user):
    client.force_login(user)
    return client


def said(response):
    return [str(message) for message in get_messages(response.wsgi_request)]


def url(name, community, **kwargs):
    return reverse(name, kwargs={"slug": community.slug, **kwargs})
