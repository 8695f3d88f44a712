"""Becomes one program as a container runs it, without a container engine: needs root, Linux and mount(8).

``unshare --mount --pid --fork python container.py SPEC``: the file system is a new one that nobody may write,
with this machine's programs, what the image has, and what the service mounts. The program is another user
there, without any capability, in the network that this was started in. This process stays as the first one,
as compose's ``init: true`` does: it passes signals on, and all the others end with it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

#: What programs of this machine need to start.
_OF_MACHINE = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ssl", "nsswitch.conf", "passwd", "group")
_LINKS = ("bin", "sbin", "lib", "lib64")


def main(path):
    spec = json.loads(Path(path).read_text())
    root = Path(spec["root"])
    mount("--make-rprivate", "/")
    mount("-t", "tmpfs", "tmpfs", root)
    if spec["image"]:
        build_of_image(root, spec["image"])
    for folder in spec["tmpfs"]:
        place(folder, root).mkdir(parents=True, exist_ok=True)
        mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", place(folder, root))
    if not spec["image"]:
        # Later: the programs may be in a folder of /tmp.
        build_of_machine(root, spec)
    (root / "etc/hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *spec["hosts"])))
    for mounted in spec["mounts"]:
        bind(mounted["source"], root, mounted["target"], writable=mounted["writable"])
    for folder in ("proc", "dev"):
        (root / folder).mkdir(exist_ok=True)
    mount("-t", "proc", "proc", root / "proc")
    mount("--rbind", "/dev", root / "dev")
    mount("-o", "remount,ro", root)
    with Path(spec["ready"]).open("w") as ready:
        os.chroot(root)
        os.chdir(spec["folder"])
        return run(spec, ready)


def build_of_image(root, image):
    """Lay a new file system over the one of the image, which nobody changes."""
    upper, work = root / "upper", root / "work"
    upper.mkdir()
    work.mkdir()
    mount("-t", "overlay", "overlay", "-o", f"lowerdir={image},upperdir={upper},workdir={work}", root)


def build_of_machine(root, spec):
    """Put together what the image would have: this machine's programs, and what the image copies."""
    for name in _LINKS:
        (root / name).symlink_to(f"usr/{name}")
    for program in ("/usr", *spec["programs"]):
        bind(program, root, writable=False)
    (root / "etc").mkdir()
    for name in _OF_MACHINE:
        source = Path("/etc", name)
        if source.exists():
            copy(source, root / "etc" / name)
    number, group = spec["user"].split(":")
    with (root / "etc/passwd").open("a") as users, (root / "etc/group").open("a") as groups:
        users.write(f"container:x:{number}:{group}::/:/bin/false\n")
        groups.write(f"container:x:{group}:\n")
    for source, target in spec["copied"]:
        copy(source, root / target.lstrip("/"))
    for owner, folder in spec["folders"]:
        own = root / folder.lstrip("/")
        own.mkdir(parents=True)
        os.chown(own, owner, owner)


def run(spec, ready):
    """Start the program, pass SIGTERM on to it, and return its code."""
    words = [*as_user(spec["user"]), *spec["command"]]
    child = os.posix_spawnp("setpriv", words, spec["environment"])
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(child, number))
    # From here on this process passes signals on.
    print("ready", file=ready, flush=True)
    while True:
        ended, status = os.wait()
        if ended == child:
            return os.waitstatus_to_exitcode(status) % 256


def as_user(user):
    """Return the words that take every right away before the program starts."""
    number, group = user.split(":")
    rights = ["--no-new-privs", "--bounding-set", "-all", "--inh-caps", "-all", "--pdeathsig", "KILL"]
    return ["setpriv", "--reuid", number, "--regid", group, "--clear-groups", *rights, "--"]


def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True)


def place(path, root):
    return root / str(path).lstrip("/")


def bind(source, root, target=None, *, writable):
    where = place(target or source, root)
    if Path(source).is_dir():
        where.mkdir(parents=True, exist_ok=True)
    else:
        where.parent.mkdir(parents=True, exist_ok=True)
        where.touch()
    mount("--bind", source, where)
    if not writable:
        mount("-o", "remount,bind,ro", where)


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    if Path(source).is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        shutil.copy(source, target / Path(source).name if target.is_dir() else target)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
