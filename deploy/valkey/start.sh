#!/bin/sh
# Starts the state server with the users of deploy/acl. Each has the password of its secret, and the keys of
# ASKONCE_NAMESPACE. The server has no user without a password, and reads no file that others may read.
set -eu
umask 077

refuse() {
  echo "state server: $1" >&2
  # It stays, and becomes unhealthy: to start it again and again would mend nothing.
  exec tail -f /dev/null
}

cure="sh deploy/new-passwords.sh makes all, and SECRETS in .env names their folder"

# Prints the digest of a user's password: the server needs no more.
digest_of() {
  file="/run/secrets/$1_password"
  [ -r "$file" ] || refuse "the password of $1 cannot be read: user $(id -u) must be able to read $file"
  password=$(cat "$file")
  [ -n "$password" ] || refuse "no password is set for $1: $cure"
  case "$namespace:$password" in
    demo:*) ;;
    *:demo-*) refuse "$1 has the demo's password, which everybody knows: $cure" ;;
  esac
  printf %s "$password" | sha256sum | cut -d " " -f 1
}

namespace=${ASKONCE_NAMESPACE:-jobs}
case "$namespace" in
  *[!A-Za-z0-9_.-]*) refuse "ASKONCE_NAMESPACE may have letters, digits and _ . - only" ;;
esac

users=/tmp/users.acl
cat /etc/askonce/acl/default.acl > "$users"
for user in producer oncall worker flower metrics; do
  # Not inside of the pipe: a refusal must end this shell.
  digest_of "$user" > /tmp/digest
  sed -e "s/>change-me-$user/#$(cat /tmp/digest)/" \
    -e "s/{jobs}/{$namespace}/g" -e "s/askonce:jobs:/askonce:$namespace:/g" \
    "/etc/askonce/acl/$user.acl" >> "$users"
done
digest_of operator > /tmp/digest
echo "user operator on #$(cat /tmp/digest) ~* &* +@all" >> "$users"
rm /tmp/digest

# It holds records and queue: it keeps them over a restart, and evicts nothing.
exec valkey-server --aclfile "$users" --dir /data --bind '*' --appendonly yes --appendfsync everysec --save '' \
  --maxmemory 1gb --maxmemory-policy noeviction
