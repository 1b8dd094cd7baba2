"""requests, with the agent's address for a base URL."""
import os

import requests

answer = requests.get(os.environ["COUNTERSIGN_URL"] + "/orders", timeout=30)
answer.raise_for_status()
print(answer.json()["orders"][0]["item"])
