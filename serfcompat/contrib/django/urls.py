"""`path("serf/", include("serfcompat.contrib.django.urls"))`"""

from django.urls import path

from serfcompat.contrib.django import views

app_name = "serfcompat"
urlpatterns = [path("health", views.health, name="health"), path("members", views.members, name="members")]
