"""Ask the web process of this container for its front page: `python config/healthcheck.py`.

It asks as the proxy would, by the site's own name and as if over TLS, so that no refusal is logged.
The standard library is all it needs. The exit status is 0 for an answer and 1 for none.
"""

import http.client
import os
import sys
from http import HTTPStatus


def main() -> int:
    """Ask once; give the exit status."""
    name = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".") or "localhost"
    port = int(os.environ.get("GRANIAN_PORT", "8000"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("HEAD", "/", headers={"Host": name, "X-Forwarded-Proto": "https"})
        return int(connection.getresponse().status >= HTTPStatus.BAD_REQUEST)
    except (OSError, http.client.HTTPException):
        return 1


if __name__ == "__main__":
    sys.exit(main())
