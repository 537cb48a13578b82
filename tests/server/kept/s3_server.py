"""Runs an S3 server on loopback with one bucket, in a process of its own: python s3_server.py PORT BUCKET."""

from __future__ import annotations

import logging
import sys

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import Client


def main(port: int, bucket: str) -> None:
    """Serves until it is killed. The bucket is there before the first request is answered."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", port, application, threaded=True)
    made = Client(application).put(f"/{bucket}", headers={"Host": f"127.0.0.1:{port}"})
    assert made.status_code == 200, made.get_data()
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
