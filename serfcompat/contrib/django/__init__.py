"""Django: `"serfcompat.contrib.django"` in INSTALLED_APPS, and a setting `SERF = {"node_name": …}`.

apps        the app: settings, start with the first request
checks      `manage.py check` knows what is wrong with the settings
signals     `member_event` and `user_event`
cache       `invalidate(key)` in the memory of all workers
views       pages for balancers and people: include `serfcompat.contrib.django.urls`
management  `manage.py serf_members`, `serf_event`, `serf_query`
"""
