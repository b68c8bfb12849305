"""Feature flags in all workers' memory: gunicorn -c python:serfcompat.contrib.gunicorn -w 4 django_page:application"""

import json
import os

import django
from django.conf import settings

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY", os.urandom(32).hex()),
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["serfcompat.contrib.django"],
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    SERF=json.loads(
        os.environ.get("SERF", "{}")
    ),  # {"node_name": "web-1", "bind": "10.0.0.1", "retry_join": ["10.0.0.2"]}
)
django.setup()

from django.core.cache import cache  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402

from serfcompat.contrib.django.cache import connect, invalidate  # noqa: E402

FLAGS = os.environ.get("FLAGS", "flags.json")  # stands for a database
connect()


def load():
    with open(FLAGS) as file:
        return json.load(file)


def page(request):
    flags = cache.get_or_set("flags", load, 300)
    return HttpResponse(f"{os.getpid()} {'new' if flags['new_page'] else 'old'} page", content_type="text/plain")


@csrf_exempt
def switch(request):
    """POST /switch: change a flag for all workers of all hosts. ⚠ Guard such a page."""
    flags = load() | {"new_page": request.POST["new_page"] == "on"}
    with open(FLAGS, "w") as file:
        json.dump(flags, file)
    invalidate("flags")
    return HttpResponse("done", content_type="text/plain")


urlpatterns = [path("", page), path("switch", switch), path("serf/", include("serfcompat.contrib.django.urls"))]
application = get_wsgi_application()
