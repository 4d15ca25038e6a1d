"""Superset's settings, read inside its own environment: at home in one folder, on this machine only, nothing fetched.

Everything that differs between lakes comes by the environment that `gpulake superset up` gives it.
"""

import json
import logging
import os
from pathlib import Path

_HOME = Path(os.environ["SUPERSET_HOME"])
_COLOURS = json.loads(os.environ["GPULAKE_COLOURS"])

SECRET_KEY = (_HOME / "secret_key").read_text(encoding="utf-8").strip()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{_HOME}/superset.db?check_same_thread=false"
LOG_LEVEL = logging.WARNING
logging.getLogger("superset.views.base").setLevel(logging.ERROR)  # it warns at each page of a picture that no wheel has
APP_NAME = "gpulake"
RATELIMIT_STORAGE_URI = "memory://"
WTF_CSRF_ENABLED = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = (
    "gpulake_superset"  # cookies know no ports: gpulake's pages and other Supersets are on this host too
)
ENABLE_UI_THEME_ADMINISTRATION = False
THEME_DARK = None  # the pictures' colours are those for light ground

# Pictures, scripts and styles of its own only: the pixel that counts Superset's users is not asked for.
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}

EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {"id": "gpulake", "label": "gpulake", "description": "", "isDefault": True, "colors": _COLOURS}
]


def DB_CONNECTION_MUTATOR(uri, params, *_who):
    """Open the file that the link names at this moment, so that each question is answered from the newest publication.

    DuckDB shares what is open by its path in a process: by the link's own name a slow question would hold all others to its build.
    """
    if uri.get_backend_name() == "duckdb":
        uri = uri.set(database=os.path.realpath(os.environ["GPULAKE_PUBLICATION"]))
    return uri, params
