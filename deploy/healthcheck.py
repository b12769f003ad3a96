"""Health of the service in a container: exit status 0 if `/readyz` on this machine answers 200, else 1."""

import os
import sys
from http.client import HTTPConnection, HTTPException

connection = HTTPConnection("127.0.0.1", int(os.environ.get("LASERVE_PORT") or 8000), timeout=4)
try:
    connection.request("GET", "/readyz")
    response = connection.getresponse()
except (OSError, HTTPException) as error:
    sys.exit(f"no answer: {error}")
print(response.read().decode())
sys.exit(response.status != 200)
