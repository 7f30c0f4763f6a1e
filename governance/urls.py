"""Pages: people, communities and polls."""

from django.urls import path

from governance import views

urlpatterns = [
    path("", views.home, name="home"),
    path("accounts/token/", views.account_token, name="account_token"),
    path("communities/new/", views.community_create, name="community_create"),
    path("invitations/<slug:token>/", views.invitation, name="invitation"),
    path("c/<slug:slug>/settings/", views.community_settings, name="community_settings"),
    path("c/<slug:slug>/join/", views.community_join, name="community_join"),
    path("c/<slug:slug>/leave/", views.community_leave, name="community_leave"),
    path("c/<slug:slug>/members/", views.community_members, name="community_members"),
    path("c/<slug:slug>/members/<int:pk>/role/", views.member_role, name="member_role"),
    path("c/<slug:slug>/members/<int:pk>/<slug:act>/", views.member_act, name="member_act"),
    path("c/<slug:slug>/invitations/new/", views.invitation_create, name="invitation_create"),
    path(
        "c/<slug:slug>/invitations/<int:pk>/revoke/",
        views.invitation_revoke,
        name="invitation_revoke",
    ),
    path("c/<slug:slug>/polls/", views.poll_list, name="poll_list"),
    path("c/<slug:slug>/polls/new/", views.poll_create, name="poll_create"),
    path("c/<slug:slug>/polls/rule/", views.poll_rule, name="poll_rule"),
    path("c/<slug:slug>/polls/<int:pk>/", views.poll_detail, name="poll_detail"),
    path("c/<slug:slug>/polls/<int:pk>/withdraw/", views.ballot_withdraw, name="ballot_withdraw"),
]
