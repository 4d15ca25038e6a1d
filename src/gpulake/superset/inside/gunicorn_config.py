"""How gunicorn serves Superset: one process for questions, a few threads, told when it can be opened."""

import os

bind = f"127.0.0.1:{os.environ['GPULAKE_PORT']}"
workers = 1
worker_class = "gthread"
threads = 4
timeout = 120
graceful_timeout = 3
loglevel = "warning"
accesslog = None
control_socket_disable = True


def post_worker_init(worker):
    """Say where to look, once."""
    if worker.age == 1:
        print(os.environ["GPULAKE_TOLD"], flush=True)
