"""The operator's view of feedback: read-only, since verbs write and the trail remembers."""

from django.contrib import admin

from feedback.models import (
    Assignment,
    Comparison,
    Dataset,
    Decision,
    Label,
    Prompt,
    Report,
    Response,
    ReviewItem,
)
from governance.admin import ReadOnlyAdmin

for model in (
    Prompt,
    Response,
    Comparison,
    Assignment,
    Label,
    ReviewItem,
    Report,
    Decision,
    Dataset,
):
    admin.site.register(model, ReadOnlyAdmin)
