"""Health of the service in a container: exit status 0 if its `/readyz` answers 200, else 1.

The service writes its address to a file when it listens, whichever setting the address comes from.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

file = Path(os.environ["RUNTIME_DIRECTORY"], "laserve.url")
try:
    address = urlsplit(file.read_text("utf-8"))
    connection = HTTPConnection(address.hostname or "", address.port, timeout=4)
    connection.request("GET", "/readyz")
    response = connection.getresponse()
except (OSError, HTTPException) as error:
    sys.exit(f"no answer: {error}")
print(response.read().decode())
sys.exit(response.status != 200)
