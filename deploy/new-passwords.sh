#!/bin/sh
# Makes a folder of passwords for docker compose, and replaces none that is there: sh deploy/new-passwords.sh [FOLDER]
# Name the folder in .env: SECRETS=./secrets
set -eu
folder=${1:-secrets}
mkdir -p "$folder"
# The folder keeps others out. The files in it are readable: each container has a user of its own, which gets one file.
chmod 700 "$folder"
for name in operator producer oncall worker flower metrics grafana flower-login; do
  # One that is empty is no password: the server would refuse it.
  [ ! -s "$folder/$name" ] || continue
  password=$(head -c 32 /dev/urandom | sha256sum | cut -c 1-43)
  [ "$name" != flower-login ] || password="operator:$password"
  printf '%s\n' "$password" > "$folder/$name"
  chmod 644 "$folder/$name"
  echo "$folder/$name"
done
