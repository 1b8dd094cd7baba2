"""httpx, over the socket where there is one, else by the agent's address."""
import os

import httpx

socket = os.environ.get("COUNTERSIGN_SOCKET")
transport = httpx.HTTPTransport(uds=socket) if socket else None
with httpx.Client(base_url=os.environ["COUNTERSIGN_URL"], transport=transport, timeout=30) as client:
    answer = client.get("/orders")
    answer.raise_for_status()
    print(answer.json()["orders"][0]["item"])
