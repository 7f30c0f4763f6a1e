"""API: people, communities and polls."""

from django.urls import path

from governance.api import views

_COMMUNITY = "communities/<slug:slug>/"
_MEMBER = f"{_COMMUNITY}members/<int:pk>/"
_POLL = f"{_COMMUNITY}polls/<int:pk>/"

urlpatterns = [
    path("token/", views.TokenView.as_view(), name="api-token"),
    path("me/", views.MeView.as_view(), name="api-me"),
    path("communities/", views.CommunityListView.as_view(), name="api-communities"),
    path(_COMMUNITY, views.CommunityView.as_view(), name="api-community"),
    path(f"{_COMMUNITY}join/", views.JoinView.as_view(), name="api-join"),
    path(f"{_COMMUNITY}leave/", views.LeaveView.as_view(), name="api-leave"),
    path(f"{_COMMUNITY}members/", views.MemberListView.as_view(), name="api-members"),
    path(f"{_MEMBER}role/", views.MemberRoleView.as_view(), name="api-member-role"),
    *(
        path(f"{_MEMBER}{act}/", views.MemberActView.as_view(act=act), name=f"api-member-{act}")
        for act in ("approve", "decline", "suspend", "reinstate")
    ),
    path(
        f"{_COMMUNITY}invitations/",
        views.InvitationCreateView.as_view(),
        name="api-invitations",
    ),
    path(
        "invitations/<slug:token>/accept/",
        views.InvitationAcceptView.as_view(),
        name="api-invitation-accept",
    ),
    path(f"{_COMMUNITY}polls/", views.PollListView.as_view(), name="api-polls"),
    path(_POLL, views.PollView.as_view(), name="api-poll"),
    path(f"{_POLL}ballot/", views.BallotView.as_view(), name="api-ballot"),
    path(f"{_POLL}ballots/", views.BallotRecordView.as_view(), name="api-ballots"),
]
