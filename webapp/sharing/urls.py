"""Addresses of the people of a collection and of invitations."""

from __future__ import annotations

from django.urls import path

from webapp.sharing import invitations, people

app_name = "sharing"
urlpatterns = [
    path("collections/<int:pk>/people/", people.people, name="people"),
    path("collections/<int:pk>/people/leave/", people.leave, name="leave"),
    path("collections/<int:pk>/people/<int:member>/", people.change, name="change"),
    path("collections/<int:pk>/invitations/", invitations.invite, name="invite"),
    path("collections/<int:pk>/invitations/<int:invitation>/withdraw/", invitations.withdraw, name="withdraw"),
    path("invitations/<str:secret>/", invitations.accept, name="accept"),
]
