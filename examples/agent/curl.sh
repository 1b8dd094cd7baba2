#!/bin/sh
# curl over the agent's socket. The host in the URL is only a name: the socket stands for one resource.
set -eu
curl --silent --show-error --fail --unix-socket "$COUNTERSIGN_SOCKET" http://api/orders
