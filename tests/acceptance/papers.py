"""The settings by which a process trusts the tests' own authority, and shows its certificate."""


def env_of(papers, *, ca=True, own=False):
    """Return them for a folder of *papers*; without *ca* the authority is not known."""
    paths = {"CA_CERTS": "ca.crt"} if ca else {}
    paths |= {"CERTFILE": "server.crt", "KEYFILE": "server.key"} if own else {}
    return {f"REDIS_SSL_{name}": f"{papers}/{path}" for name, path in paths.items()}
